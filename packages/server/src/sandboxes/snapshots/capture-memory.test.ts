import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";

/** In a process of its own, whose heap is small: it dies of what does not fit. */
const program = `
  import { captureWorkspace, entriesForHeap } from ${JSON.stringify(join(import.meta.dirname, "capture.ts"))};
  import { createMemoryBlobs } from ${JSON.stringify(join(import.meta.dirname, "testing.ts"))};
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const [kind, count] = [process.argv[1], Number(process.argv[2])];
  const entry = (kind, path, size, linkTarget = null) =>
    ({ kind, path: "/workspace/" + path, size, allocatedBytes: size, mode: 0o755, modifiedAt: 1, fingerprint: path.slice(-12), linkTarget });
  const deep = Array.from({ length: 15 }, (_, index) => String(index).padEnd(250, "d"));
  function* entries() {
    if (kind === "paths") for (let index = 1; index <= 15; index += 1) yield entry("directory", deep.slice(0, index).join("/"), 0);
    for (let index = 0; index < count; index += 1) {
      const name = String(index).padStart(9, "0");
      if (kind === "targets") yield entry("symlink", name, 0, name.padEnd(4090, "t"));
      else if (kind === "directories") yield entry("directory", name, 0);
      else yield entry("file", kind === "paths" ? deep.join("/") + "/" + name.padStart(200, "f") : name, 0);
    }
  }
  const session = {
    async *scanTree() {
      let some = [];
      for (const each of entries()) {
        if (some.push(each) < 500) continue;
        // As they come from a socket: every text is its own.
        yield JSON.parse(JSON.stringify(some));
        some = [];
        await turn();
      }
      yield some;
    },
    async *fetchFiles({ paths }) {
      for (const path of paths) {
        yield { type: "file", path };
        for (let index = 0; kind === "pieces" && index < 60_000; index += 1) {
          yield { type: "piece", piece: Buffer.from(path.slice(-9) + index) };
          yield { type: "piece", piece: { holeBytes: 4096 } };
          if (index % 1000 === 0) await turn();
        }
        yield { type: "end", size: 0 };
      }
    },
  };
  const { store } = createMemoryBlobs();
  const blobs = { ...store, put: (organization, content) => (content.length > 3_000_000 ? store.put("", new Uint8Array()) : store.put(organization, content)) };
  const request = { session, sandboxId: "sbx_1", root: "/workspace", blobs, organizationId: "o", entriesAtMost: entriesForHeap };
  const first = await captureWorkspace({ ...request, previous: null });
  // And with the one before.
  const { manifest, beyond } = await captureWorkspace({ ...request, previous: first.manifest });
  console.log(JSON.stringify({ entriesForHeap, beyond: beyond.count, held: manifest.directories.length + manifest.links.length + manifest.files.length }));
`;

it.each([
  ["paths", 60_000],
  ["targets", 60_000],
  ["directories", 150_000],
  ["pieces", 14],
])(
  "a server with little memory outlives a workspace of too many %s",
  async (kind, count) => {
    const run = [
      "--max-old-space-size=192",
      "--max-semi-space-size=4",
      "--input-type=module",
      "--eval",
      program,
      kind,
      String(count),
    ];
    const { stdout } = await promisify(execFile)(process.execPath, run, { timeout: 60_000 });
    const { held, beyond } = JSON.parse(stdout) as { held: number; beyond: number };
    expect(beyond).toBeGreaterThan(0);
    expect(held).toBeGreaterThan(1);
    expect(held + beyond).toBe(count + (kind === "paths" ? 15 : 0));
  },
  60_000,
);
