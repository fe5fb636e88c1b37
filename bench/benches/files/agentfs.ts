/** AgentFS of Turso: files in SQLite. It has no search: a client reads every file and looks itself. @module */
import { join } from "node:path";
import { AgentFS } from "agentfs-sdk";
import type { Contender } from "./contender.ts";
import type { Corpus } from "./corpus.ts";

export async function createAgentFs(directory: string, corpus: Corpus): Promise<Contender> {
  const agent = await AgentFS.open({ path: join(directory, "agentfs.db") });
  const { fs } = agent;
  for (const { path, text } of corpus.files) await fs.writeFile(`/${path}`, text);
  const walk = async (path: string): Promise<string[]> => {
    const entries = await fs.readdirPlus(path === "" ? "/" : path);
    const below = [];
    for (const { name, stats } of entries) {
      below.push(...(stats.isDirectory() ? await walk(`${path}/${name}`) : [`${path}/${name}`]));
    }
    return below;
  };
  return {
    name: "agentfs-sdk",
    read: (path) => fs.readFile(`/${path}`, "utf8"),
    write: (path, text) => fs.writeFile(`/${path}`, text),
    async edit(path, oldText, newText) {
      const text = await fs.readFile(`/${path}`, "utf8");
      await fs.writeFile(
        `/${path}`,
        text.replace(oldText, () => newText),
      );
    },
    list: async (path) => (await fs.readdirPlus(`/${path}`)).length,
    async glob(part, ending) {
      const files = await walk("");
      return files.filter((path) => path.slice(path.lastIndexOf("/")).includes(part) && path.endsWith(ending)).length;
    },
    async grep(pattern, maximum) {
      const expression = new RegExp(pattern);
      let found = 0;
      for (const path of await walk("")) {
        const text = await fs.readFile(path, "utf8");
        found += text.split("\n").filter((line) => expression.test(line)).length;
        if (found >= maximum) break;
      }
      return Math.min(found, maximum);
    },
    close: () => agent.close(),
  };
}
