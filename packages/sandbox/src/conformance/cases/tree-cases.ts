/** Cases about scans: what a snapshot relies on to know what changed. @module */
import type { TreeEntry } from "../../session.ts";
import { claim, claimEqual, claimFileError } from "../claims.ts";
import type { ConformanceCase } from "../conformance-case.ts";
import { place, printed, text, treeOf, writeText } from "../steps.ts";

const none = new Uint8Array();

export const treeCases: readonly ConformanceCase[] = [
  {
    id: "tree.entries",
    level: "MUST",
    capability: null,
    sentence: "A scan tells every entry below with path, kind, size and mode, links not followed, with their target.",
    async run(context) {
      const sandbox = await context.awake();
      await writeText(sandbox, "/workspace/t/sub/file", "12345", 0o640);
      await printed(sandbox, "ln -s /usr t/link; ln -s ../sub/none t/sub/dangling; mkfifo t/fifo");
      const tree = await treeOf(sandbox, "/workspace/t");
      const seen = [...tree.values()].map(({ path, kind, linkTarget }) => `${path} ${kind} ${linkTarget}`);
      const expected = [
        "/workspace/t/fifo other null",
        "/workspace/t/link symlink /usr",
        "/workspace/t/sub directory null",
        "/workspace/t/sub/dangling symlink ../sub/none",
        "/workspace/t/sub/file file null",
      ];
      claimEqual(seen.toSorted(), expected, "entries");
      const file = tree.get("/workspace/t/sub/file");
      claimEqual([file?.size, file?.mode], [5, 0o640], "size and mode");
      claim(Math.abs(Date.now() - (file?.modifiedAt ?? 0)) < 60_000, "modifiedAt is now, in milliseconds");
    },
  },
  {
    id: "tree.fingerprint-changes",
    level: "MUST",
    capability: null,
    sentence: "A fingerprint changes with content (of the same size), mode and replacement, and with nothing else.",
    async run(context) {
      const sandbox = await context.awake();
      for (const name of ["content", "mode", "replaced", "same"])
        await writeText(sandbox, `/workspace/t/${name}`, "aaaa", 0o644);
      const before = await treeOf(sandbox, "/workspace/t");
      await printed(sandbox, "sleep 0.02; printf bbbb > t/content; chmod 600 t/mode; cat t/same");
      await writeText(sandbox, "/workspace/t/replaced", "aaaa");
      const after = await treeOf(sandbox, "/workspace/t");
      const changed = [...after.values()].filter(
        ({ path, fingerprint }) => before.get(path)?.fingerprint !== fingerprint,
      );
      const names = changed.map(({ path }) => path.slice("/workspace/t/".length));
      claimEqual(names.toSorted(), ["content", "mode", "replaced"], "changed");
    },
  },
  {
    id: "tree.holes",
    level: "MUST",
    capability: "holes",
    sentence: "A file with holes tells that it takes up less than its size.",
    async run(context) {
      const sandbox = await context.awake();
      await printed(sandbox, "printf data > sparse; truncate -s 20000000 sparse");
      const entry = (await treeOf(sandbox, "/workspace")).get("/workspace/sparse");
      claimEqual(entry?.size, 20_000_000, "size");
      claim(entry !== undefined && entry.allocatedBytes < 1_000_000, `it takes up ${entry?.allocatedBytes} bytes`);
    },
  },
  {
    id: "tree.pages",
    level: "MUST",
    capability: null,
    sentence: "A scan without a limit tells the same, some at a time, a directory before what is in it.",
    async run(context) {
      const sandbox = await context.awake();
      const files = Array.from({ length: 60 }, (_, index) => `/workspace/t/${index % 3}/${index % 4}/${index}`);
      for (const path of files) await writeText(sandbox, path, "x");
      await printed(sandbox, "ln -s /usr t/0/link");
      const seen: TreeEntry[] = [];
      for await (const some of sandbox.session.scanTree({ path: "/workspace/t" })) seen.push(...some);
      const tree = await treeOf(sandbox, "/workspace/t");
      claimEqual(seen.length, tree.size, "entries");
      claimEqual(new Map(seen.map((entry) => [entry.path, entry])), tree, "what is told of each");
      claimEqual(seen.find(({ kind }) => kind === "symlink")?.linkTarget, "/usr", "the link's target");
      const places = new Map(seen.map(({ path }, index) => [path, index]));
      const late = seen.filter(({ path }, index) => (places.get(path.slice(0, path.lastIndexOf("/"))) ?? -1) > index);
      claimEqual(late, [], "entries before their directory");
      const pages = async (path: string) => {
        for await (const some of sandbox.session.scanTree({ path })) claim(some.length > 0, "a page is not empty");
      };
      await pages("/workspace/none");
      await claimFileError(pages(files[0] ?? ""), "not_directory", "a file is scanned");
    },
  },
  {
    id: "tree.survey",
    level: "MUST",
    capability: null,
    sentence: "A survey tells what a listing does; its fingerprint is the same until something below changes.",
    async run(context) {
      const sandbox = await context.awake();
      const { session } = sandbox;
      const path = "/workspace/t";
      const survey = () => session.surveyTree({ path });
      for (const name of ["a", "d/b"]) await writeText(sandbox, `${path}/${name}`, "aaaa");
      const first = await survey();
      claimEqual(new Map(first.entries().map((entry) => [entry.path, entry])), await treeOf(sandbox, path), "entries");
      claimEqual((await survey()).fingerprint, first.fingerprint, "the fingerprint of an unchanged tree");
      const seen = new Set([first.fingerprint]);
      const changes = ["printf bbbb > t/a", "chmod 600 t/d/b", "mkdir t/e", "ln -s a t/l", "rm t/a"];
      for (const command of changes) {
        await printed(sandbox, `sleep 0.02; ${command}`);
        const { fingerprint } = await survey();
        claim(!seen.has(fingerprint), `${command} changes the fingerprint`);
        seen.add(fingerprint);
      }
      claimEqual((await session.surveyTree({ path: "/workspace/none" })).entries(), [], "of what does not exist");
      await claimFileError(session.surveyTree({ path, maximumEntries: 2 }), "too_large", "more than are taken");
    },
  },
  {
    id: "tree.inspect",
    level: "MUST",
    capability: null,
    sentence:
      "Single entries are told as in a listing, in the order asked for; what is absent, a link or beyond one, as null.",
    async run(context) {
      const sandbox = await context.awake();
      await writeText(sandbox, "/workspace/t/sub/file", "12345", 0o640);
      await printed(sandbox, "ln -s sub t/link; mkfifo t/fifo");
      const tree = await treeOf(sandbox, "/workspace/t");
      const names = ["fifo", "none", "sub/file", "link/file", "sub", "link", "sub/file/below", "sub/file"];
      const paths = names.map((name) => `/workspace/t/${name}`);
      const expected = paths.map((path, index) => ([1, 3, 5, 6].includes(index) ? null : tree.get(path)));
      claimEqual(await sandbox.session.inspectEntries({ paths }), expected, "entries");
      const many = Array.from({ length: 600 }, (_, index) => paths[index % 2 === 0 ? 2 : 1] ?? "");
      const found = await sandbox.session.inspectEntries({ paths: many });
      claimEqual(found.length, 600, "as many as were asked for");
      claim(
        found.every((entry, index) => (entry === null) === (index % 2 === 1)),
        "each in its place",
      );
    },
  },
  {
    id: "tree.limit",
    level: "MUST",
    capability: null,
    sentence: "More than `maximumEntries` is refused with `too_large`; exactly as many are told.",
    async run(context) {
      const sandbox = await context.awake();
      for (const name of ["a", "b", "c"]) await writeText(sandbox, `/workspace/t/${name}`, "");
      const { session } = sandbox;
      const path = "/workspace/t";
      await claimFileError(session.listTree({ path, maximumEntries: 2 }), "too_large", "3 entries of at most 2");
      claimEqual((await session.listTree({ path, maximumEntries: 3 })).length, 3, "3 entries of at most 3");
    },
  },
  {
    id: "tree.deep",
    level: "MUST",
    capability: null,
    sentence: "A tree of 100 levels is made, scanned and deleted.",
    async run(context) {
      const sandbox = await context.awake();
      const path = `/workspace/deep/${Array.from({ length: 100 }, (_, index) => `d${index}`).join("/")}`;
      await writeText(sandbox, `${path}/file`, "x");
      claimEqual((await treeOf(sandbox, "/workspace/deep")).size, 101, "entries");
      claim(await sandbox.session.deleteFile({ path: "/workspace/deep", recursive: true }), "it is deleted");
      claimEqual((await treeOf(sandbox, "/workspace")).size, 0, "entries afterwards");
    },
  },
  {
    id: "tree.many",
    level: "MUST",
    capability: null,
    sentence: "Three thousand files are placed, listed, scanned, fetched and deleted.",
    async run(context) {
      const { session } = await context.awake();
      const paths = Array.from({ length: 3000 }, (_, index) => `/workspace/many/${index}`);
      const entries = paths.map((path) => ({ kind: "file", path, mode: 0o644, content: text(path) }) as const);
      await session.placeEntries({ entries });
      claimEqual((await session.listDirectory({ path: "/workspace/many" }))?.length, 3000, "listed");
      claimEqual((await session.listTree({ path: "/workspace/many" })).length, 3000, "scanned");
      let fetchedFiles = 0;
      for await (const part of session.fetchFiles({ paths })) if (part.type === "end" && part.size > 0) fetchedFiles++;
      claimEqual(fetchedFiles, 3000, "fetched");
      claim(await session.deleteFile({ path: "/workspace/many", recursive: true }), "deleted");
    },
  },
  {
    id: "tree.unreadable-directory",
    level: "SHOULD",
    capability: null,
    sentence: "A directory without permissions is scanned, or refused with an error: never told as empty.",
    async run(context) {
      const sandbox = await context.awake();
      await place(sandbox, [{ kind: "file", path: "/workspace/d/file", mode: 0o600, content: none }]);
      await printed(sandbox, "chmod 000 d");
      const scan = treeOf(sandbox, "/workspace");
      const paths = await scan.then(
        (tree) => [...tree.keys()],
        () => null,
      );
      claim(paths === null || paths.includes("/workspace/d/file"), "the file below it was left out");
    },
  },
];
