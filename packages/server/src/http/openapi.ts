/** The description of the API at /openapi.json, made from the schemas that judge the requests. @module */
import { z } from "zod";
import type { App } from "./route.ts";

const info = {
  title: "Exoloop",
  version: "0.1.0",
  description: "The Managed Agents API, and what this server adds to it below /v1/x.",
  license: { name: "Apache-2.0", identifier: "Apache-2.0" },
};

/**
 * The paths come from the routes. The named schemas come from zod itself, which tells a field that may be missing from
 * one that may be undefined.
 */
function describeApi(app: App): object {
  const document = app.getOpenAPI31Document({ openapi: "3.1.0", info, tags: [] });
  const { schemas } = z.toJSONSchema(z.globalRegistry, {
    uri: (id) => `#/components/schemas/${id}`,
    target: "draft-2020-12",
    io: "input",
    unrepresentable: "any",
  });
  const named: Record<string, object> = {};
  for (const [name, schema] of Object.entries(schemas)) {
    const { $schema: _dialect, $id: _id, ...rest } = schema;
    named[name] = rest;
  }
  return {
    ...document,
    components: {
      ...document.components,
      schemas: { ...document.components?.schemas, ...named },
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer" },
        apiKey: { type: "apiKey", in: "header", name: "x-api-key" },
      },
    },
  };
}

export function addDescriptionRoute(app: App): void {
  let description: string | null = null;
  app.get("/openapi.json", (c) => {
    description ??= JSON.stringify(describeApi(app));
    return c.body(description, 200, { "content-type": "application/json" });
  });
}
