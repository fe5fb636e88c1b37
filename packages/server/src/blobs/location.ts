/** Where blobs are, as one text says it: a directory, or a bucket. @module */
import { isAbsolute, resolve } from "node:path";

export interface DirectoryLocation {
  readonly type: "directory";
  readonly path: string;
}

export interface S3Location {
  readonly type: "s3";
  readonly bucket: string;
  /** Before every key: empty, or with a slash at its end. */
  readonly prefix: string;
  readonly region: string;
  /** Without a trailing slash. Null: Amazon's own. */
  readonly endpoint: string | null;
}

export type BlobLocation = DirectoryLocation | S3Location;

/**
 * A text says what is wrong.
 * @example parseBlobLocation("s3://bucket/prefix?endpoint=http://127.0.0.1:9000&region=eu-central-1")
 */
export function parseBlobLocation(text: string): BlobLocation | string {
  if (text.startsWith("s3://")) return parseBucket(text);
  if (!isAbsolute(text) || /^\/(proc|sys|dev)(\/|$)/.test(resolve(text))) {
    return "it must be an absolute path on a disk, or an address like s3://bucket/prefix?region=eu-central-1";
  }
  return { type: "directory", path: resolve(text) };
}

function parseBucket(text: string): S3Location | string {
  const url = URL.parse(text);
  if (url === null) return "it is not an address like s3://bucket/prefix?region=eu-central-1";
  if (url.username !== "" || url.password !== "") return "keys belong into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(url.host)) return "its bucket has a name that no bucket can have";
  const prefix = url.pathname.replaceAll(/^\/+|\/+$/g, "");
  if (!/^[A-Za-z0-9._/-]{0,200}$/.test(prefix) || prefix.split("/").some((part) => part === "." || part === "..")) {
    return "its prefix may hold letters, digits, dots, hyphens, underscores and slashes";
  }
  const unknown = [...url.searchParams.keys()].find((name) => name !== "endpoint" && name !== "region");
  if (unknown !== undefined) return `it knows endpoint and region, not ${JSON.stringify(unknown.slice(0, 40))}`;
  const region = url.searchParams.get("region");
  const endpoint = url.searchParams.get("endpoint");
  if (region === null && endpoint === null) return "it needs a region, or an endpoint";
  if (region !== null && !/^[a-z0-9-]{1,40}$/.test(region)) return "its region is not one like eu-central-1";
  if (endpoint !== null && !isEndpoint(endpoint)) return "its endpoint is not an address like https://s3.example.com";
  return {
    type: "s3",
    bucket: url.host,
    prefix: prefix === "" ? "" : `${prefix}/`,
    region: region ?? "us-east-1",
    endpoint: endpoint === null ? null : endpoint.replace(/\/+$/, ""),
  };
}

function isEndpoint(text: string): boolean {
  const url = URL.parse(text);
  return (
    url !== null && /^https?:$/.test(url.protocol) && url.username === "" && url.password === "" && url.search === ""
  );
}
