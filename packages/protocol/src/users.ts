/** The people of an organization and their keys: `/v1/x/users`, besides the Managed Agents API. @module */
import { z } from "zod";
import { pageOf } from "./pages.ts";
import { timestamp } from "./values.ts";

const externalId = z
  .string()
  .min(1)
  .max(255)
  .regex(/^[^\p{Cc}\p{Cf}\p{Cs}]+$/u, "text without control characters");
const name = z
  .string()
  .min(1)
  .max(100)
  .regex(/^[^\p{Cc}\p{Cf}\p{Cs}]+$/u, "one line of text");

export const createUserRequest = z
  .strictObject({
    /** What the organization calls this person: an account's id, an address. Unique in it, and for good. */
    external_id: externalId,
    /** Shown to others beside what this person wrote; the external id unless given. */
    name: z.exactOptional(name),
  })
  .meta({ id: "CreateUserRequest" });
export type CreateUserRequest = z.infer<typeof createUserRequest>;

export const updateUserRequest = z.strictObject({ name }).meta({ id: "UpdateUserRequest" });
export type UpdateUserRequest = z.infer<typeof updateUserRequest>;

export const user = z
  .object({
    id: z.string(),
    type: z.literal("user"),
    external_id: z.string(),
    name: z.string(),
    created_at: timestamp,
    updated_at: timestamp,
    archived_at: timestamp.nullable(),
  })
  .meta({ id: "User" });
export type User = z.infer<typeof user>;

export const userPage = pageOf(user).meta({ id: "UserPage" });

export const createUserKeyRequest = z
  .strictObject({
    name: z.exactOptional(name),
    /** `sessions` unless given; `admin` may do everything in the organization. */
    scopes: z.exactOptional(
      z
        .array(z.enum(["admin", "sessions"]))
        .min(1)
        .max(2),
    ),
  })
  .meta({ id: "CreateUserKeyRequest" });
export type CreateUserKeyRequest = z.infer<typeof createUserKeyRequest>;

const keyFields = {
  id: z.string(),
  type: z.literal("api_key"),
  user_id: z.string(),
  name: z.string(),
  scopes: z.array(z.string()),
  created_at: timestamp,
  last_used_at: timestamp.nullable(),
  revoked_at: timestamp.nullable(),
};

export const userKey = z.object(keyFields).meta({ id: "UserKey" });
export type UserKey = z.infer<typeof userKey>;

/** The only answer that shows the key. */
export const userKeyWithSecret = z.object({ ...keyFields, api_key: z.string() }).meta({ id: "UserKeyWithSecret" });
export type UserKeyWithSecret = z.infer<typeof userKeyWithSecret>;

export const userKeyList = z.object({ data: z.array(userKey) }).meta({ id: "UserKeyList" });
