/** /v1/models @module */
import { type Model, model, modelPage } from "@exoloop/protocol/models";
import { z } from "zod";
import { Problem } from "../../errors.ts";
import { limit } from "../query.ts";
import { type RouteContext, addRoute } from "../route.ts";

/** A model as the configuration knows it. */
export interface ModelEntry {
  readonly id: string;
  readonly displayName: string;
}

const tag = "Models";
const cursor = z.string().max(256).optional();
const parameters = z.strictObject({
  limit,
  after_id: cursor,
  before_id: cursor,
  "lifecycle[]": z
    .array(z.enum(["active", "deprecated", "retired"]))
    .max(3)
    .optional(),
});

function writeModel(entry: ModelEntry): Model {
  return {
    id: entry.id,
    type: "model",
    display_name: entry.displayName,
    // The date of release is not known here; the epoch says so.
    created_at: new Date(0).toISOString(),
    lifecycle: "active",
    line: null,
    max_input_tokens: null,
    max_tokens: null,
    capabilities: null,
    allowed_fallback_models: null,
    deprecated_at: null,
    retires_at: null,
  };
}

function indexOfModel(models: readonly ModelEntry[], id: string): number {
  const index = models.findIndex((entry) => entry.id === id);
  if (index !== -1) return index;
  throw new Problem(
    "invalid_cursor",
    `No model has the id ${JSON.stringify(id)}.`,
    "List models without after_id and before_id.",
  );
}

export function addModelRoutes(context: RouteContext, models: () => readonly ModelEntry[]): void {
  addRoute(
    context,
    { method: "get", path: "/v1/models", summary: "List models", tag, query: parameters, answer: modelPage },
    async ({ query }) => {
      const all = (query["lifecycle[]"] ?? ["active"]).includes("active") ? models() : [];
      const start = query.after_id === undefined ? 0 : indexOfModel(all, query.after_id) + 1;
      const end = query.before_id === undefined ? all.length : indexOfModel(all, query.before_id);
      const range = all.slice(start, end);
      const size = query.limit ?? 20;
      const shown = query.before_id === undefined ? range.slice(0, size) : range.slice(-size);
      return {
        data: shown.map(writeModel),
        has_more: shown.length < range.length,
        first_id: shown[0]?.id ?? null,
        last_id: shown.at(-1)?.id ?? null,
      };
    },
  );
  addRoute(
    context,
    { method: "get", path: "/v1/models/{model_id}", summary: "Retrieve a model", tag, answer: model },
    async ({ parameter }) => {
      const id = parameter("model_id");
      const entry = models().find((candidate) => candidate.id === id);
      if (entry === undefined) {
        throw new Problem("not_found", `No model has the id ${JSON.stringify(id)}.`, "List them with GET /v1/models.");
      }
      return writeModel(entry);
    },
  );
}
