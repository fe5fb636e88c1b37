/** A model and a tool that cost nothing: what is left of a step is ours. @module */
import { once } from "node:events";
import { createId } from "@exoloop/protocol/ids";
import type { DriverDependencies } from "@exoloop/server/loop/driver";
import { createModelCatalog } from "@exoloop/server/models/catalog";
import type { ModelProvider } from "@exoloop/server/models/model";
import type { Tool } from "@exoloop/server/tools/tool";

const usage = { input: 100, output: 10, cacheRead: 0, cacheWrite: 0, estimated: false };

/** What a message says to make the model answer only when it is told to stop. */
export const hang = "hang";

/** Calls the tool as often as the last message says, then ends. Answers at once. */
function instantModel(): ModelProvider {
  return {
    serves: () => true,
    list: () => [],
    async *stream(request) {
      let results = 0;
      let rounds = 0;
      for (const message of request.messages) {
        if (message.role === "tool") results += 1;
        else if (message.role === "user") {
          const [part] = message.content;
          const said = part?.type === "text" ? part.text : "";
          if (said === hang) await once(request.abortSignal, "abort");
          rounds = Number(said);
          results = 0;
        }
      }
      const content =
        results < rounds
          ? [{ type: "tool_call" as const, callId: createId("event"), toolName: "nothing", input: {} }]
          : [{ type: "text" as const, text: "done" }];
      yield { type: "finish", content, usage, finishReason: "stop" };
    },
  };
}

const nothing: Tool = {
  definition: { name: "nothing", description: "does nothing", inputSchema: { type: "object" } },
  replay: "safe",
  parallel: false,
  run: () => Promise.resolve({ content: [{ type: "text", text: "ok" }], isError: false }),
};

const unused = new Proxy({} as never, {
  get: () => {
    throw new Error("the bench's tool uses no files and no commands");
  },
});

/** What a driver needs besides database, engine, notices and log. */
export const instantParts: Pick<DriverDependencies, "models" | "catalog" | "tools" | "toolContext"> = {
  models: instantModel(),
  catalog: createModelCatalog(),
  tools: {
    definitions: [nothing.definition],
    find: () => nothing,
    run: (tool, input, context) => tool.run(input ?? {}, context),
  },
  toolContext: (claim, call, options) => ({
    toolUseId: call.toolUseId,
    actor: {
      organizationId: claim.organizationId,
      sessionId: claim.sessionId,
      toolUseId: call.toolUseId,
      via: "tool",
    },
    files: unused,
    commands: unused,
    background: unused,
    ...options,
  }),
};
