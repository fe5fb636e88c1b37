/**
 * The arrows: who may import whom. Each rule says why; `npm run check` fails on the first file that breaks one.
 * scripts/arrows.test.ts holds a file for every rule that breaks it.
 * @module
 */
const server = "^packages/server/src/";
/** Tests and what only tests use. */
const test = ["\\.test\\.ts$", "/testing", "/e2e/", "/test-host\\.ts$"];
/** Sources of ours, as imported by a relative path or by a package's name. */
const ours = "^packages/";

/** The pure heart: no file that these reach, directly or not, may do I/O. */
const pureCore = `${server}(sessions/(reduce|reduce/[a-z-]+|state|content|event)|loop/(decide|decide-[a-z-]+|loop-tools|context-size|budgets)|policy/decide-call)\\.ts$`;
const pureImports = [
  `${server}(sessions/(reduce|reduce/[a-z-]+|state|content|event)|loop/(decide|decide-[a-z-]+|loop-tools|context-size|budgets)|policy/[a-z-]+|models/model|files/path|tools/tool)\\.ts$`,
  "^packages/protocol/src/",
];

function forbid(name, comment, from, to) {
  return { name, severity: "error", comment, from, to };
}

/** @type {import("dependency-cruiser").IConfiguration} */
export default {
  forbidden: [
    forbid(
      "no-cycles",
      "A cycle has no first file to read. → Move what both need into a third file.",
      {},
      { circular: true },
    ),
    forbid(
      "resolvable",
      "This import leads nowhere. → Correct its path, or add the package to package.json.",
      {},
      { couldNotResolve: true },
    ),
    forbid(
      "http-not-loop",
      "HTTP and the loop meet only in Postgres. → Append an event and let the engine wake a turn.",
      { path: `${server}http/`, pathNot: test },
      { path: `${server}loop/` },
    ),
    forbid(
      "loop-not-http",
      "HTTP and the loop meet only in Postgres. → Append an event: HTTP reads the log.",
      { path: `${server}loop/`, pathNot: test },
      { path: `${server}http/` },
    ),
    forbid(
      "pure-core",
      "reduce, decide and decideCall are pure. → Pass what they need as data.",
      { path: pureCore },
      { path: ours, pathNot: pureImports },
    ),
    forbid(
      "pure-core-no-io",
      "reduce, decide and decideCall are pure: no Node.js module. → Pass values in.",
      { path: pureCore },
      { dependencyTypes: ["core"] },
    ),
    forbid(
      "pure-core-no-libraries",
      "reduce, decide and decideCall are pure: of a library they may have types only. → Pass values in.",
      { path: pureCore },
      { path: "node_modules/", dependencyTypesNot: ["type-only"] },
    ),
    forbid(
      "protocol-alone",
      "The protocol is what everything else imports. → Move what it needs into the protocol, or the file out of it.",
      { path: "^packages/protocol/src/", pathNot: test },
      { path: ours, pathNot: "^packages/protocol/src/" },
    ),
    forbid(
      "protocol-in-browsers",
      "The protocol runs in a browser. → Use what browsers have, or move the file to the package that needs it.",
      { path: "^packages/protocol/src/", pathNot: test },
      { dependencyTypes: ["core"] },
    ),
    forbid(
      "client-in-browsers",
      "The client runs in a browser. → Use what browsers have: fetch, streams, crypto.",
      { path: "^packages/client/src/", pathNot: test },
      { dependencyTypes: ["core"] },
    ),
    forbid(
      "client-protocol-only",
      "The client knows the server by its protocol alone. → Move the shared words into packages/protocol.",
      { path: "^packages/client/src/", pathNot: test },
      { path: ours, pathNot: "^packages/(client|protocol)/src/" },
    ),
    forbid(
      "egress-protocol-only",
      "The broker is a process of its own, in front of hostile input. → Import the protocol only.",
      { path: "^packages/egress/src/", pathNot: test },
      { path: ours, pathNot: "^packages/(egress|protocol)/src/" },
    ),
    forbid(
      "sandbox-alone",
      "The sandbox contract and its providers stand alone: any program can use them. → Pass values in, or move the words into the contract.",
      { path: "^packages/sandbox/src/", pathNot: test },
      { path: ours, pathNot: "^packages/sandbox/src/" },
    ),
    forbid(
      "host-sandbox-only",
      "The host daemon is the only privileged code: the less it imports, the less there is to trust. → Import the sandbox contract only.",
      { path: "^packages/sandbox-host/src/", pathNot: test },
      { path: ours, pathNot: "^packages/(sandbox-host|sandbox)/src/" },
    ),
    forbid(
      "host-no-libraries",
      "The host daemon is privileged: no library runs in it. → Write the part that is needed.",
      { path: "^packages/sandbox-host/src/", pathNot: test },
      { path: "node_modules/", dependencyTypesNot: ["type-only"] },
    ),
    forbid(
      "server-not-above",
      "The server does not know its command line, and of the host daemon only how it is launched. → Move the code down, or pass a function in.",
      { path: server, pathNot: [...test, `${server}launch\\.ts$`] },
      { path: "^packages/(cli|client|console|sandbox-host)/src/" },
    ),
    forbid(
      "concrete-in-main",
      "Concrete implementations are named in main.ts only. → Take the interface as a parameter.",
      {
        path: "^packages/",
        pathNot: [
          ...test,
          `${server}main\\.ts$`,
          `${server}models/`,
          `${server}engine/`,
          `${server}files/`,
          "^packages/sandbox/src/providers/",
          // The daemon is the other end of the local provider's socket.
          "^packages/sandbox-host/src/",
        ],
      },
      {
        path: [
          `${server}engine/(?!engine\\.ts$)`,
          `${server}files/postgres/`,
          `${server}models/(anthropic|openai|compatible|scripted-model|registry)\\.ts$`,
          "^packages/sandbox/src/providers/",
        ],
      },
    ),
    forbid(
      "providers-apart",
      "A provider knows no other provider. → Move what two share into the contract.",
      { path: "^packages/sandbox/src/providers/([^/]+)/" },
      { path: "^packages/sandbox/src/providers/([^/]+)/", pathNot: "^packages/sandbox/src/providers/$1/" },
    ),
    forbid(
      "models-hide-the-sdk",
      "The AI SDK stays inside the folder models. → Use models/model.ts.",
      { path: "^packages/", pathNot: `${server}models/` },
      { path: "node_modules/(ai|@ai-sdk/[^/]+)/" },
    ),
    forbid(
      "engine-hides-pg-boss",
      "pg-boss stays inside engine/, so that another one can replace it. → Use engine/engine.ts.",
      { path: "^packages/", pathNot: `${server}engine/` },
      { path: "node_modules/pg-boss/" },
    ),
    forbid(
      "no-tests-in-code",
      "Code that runs in production imports a test. → Move what it needs out of the test.",
      { path: "^packages/", pathNot: test },
      { path: "(\\.test\\.ts$)|(node_modules/vitest/)" },
    ),
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "(^|/)(build|coverage)/|/demo/seed/" },
    combinedDependencies: true,
    parser: "swc",
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default", "types"],
      extensions: [".ts", ".mjs", ".js"],
      mainFields: ["module", "main", "types"],
    },
    skipAnalysisNotInRules: false,
  },
};
