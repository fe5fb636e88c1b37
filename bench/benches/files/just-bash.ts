/** just-bash: a bash in JavaScript with its files in memory. It keeps nothing after the process ends. @module */
import { Bash } from "just-bash";
import type { Contender } from "./contender.ts";
import type { Corpus } from "./corpus.ts";

/** Its own limits stop a search through a corpus of this size. */
const executionLimits = {
  maxWorkUnits: 1e12,
  maxLiveBytes: 1e12,
  maxInputBytes: 1e12,
  maxTraversalWork: 1e12,
  maxCommandCount: 1e9,
};

export async function createJustBash(corpus: Corpus): Promise<Contender> {
  const files = Object.fromEntries(corpus.files.map(({ path, text }) => [`/files/${path}`, text]));
  const bash = new Bash({ files, cwd: "/files", executionLimits });
  await bash.exec("mkdir -p /files/new");
  const count = async (command: string) => {
    const { stdout, stderr, exitCode } = await bash.exec(command);
    if (exitCode > 1) throw new Error(`just-bash: ${command}: ${stderr.slice(0, 200)}`);
    return stdout.split("\n").length - 1;
  };
  return {
    name: "just-bash",
    read: (path) => bash.readFile(`/files/${path}`),
    write: (path, text) => bash.writeFile(`/files/${path}`, text),
    async edit(path, oldText, newText) {
      const text = await bash.readFile(`/files/${path}`);
      await bash.writeFile(
        `/files/${path}`,
        text.replace(oldText, () => newText),
      );
    },
    list: (path) => count(`ls -l ${quote(path)} | tail -n +2`),
    glob: (part, ending) => count(`find . -type f -name ${quote(`*${part}*${ending}`)}`),
    grep: (pattern, maximum) => count(`grep -rnE ${quote(pattern)} . | head -n ${maximum}`),
    close: () => Promise.resolve(),
  };
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
