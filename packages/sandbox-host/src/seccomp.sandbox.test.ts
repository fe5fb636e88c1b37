/** Ordinary programs work behind the system call filter, which allows what is listed and nothing else. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Sandbox } from "@exoloop/sandbox/contract";
import { findProgram } from "./machine-programs.ts";
import { assembleFilter } from "./seccomp.ts";
import { type TestHost, openTestHost } from "./test-host.ts";

let test: TestHost;
let sandbox: Sandbox;
beforeAll(async () => {
  test = await openTestHost();
  sandbox = await test.sandbox();
});
afterAll(() => test.close());

const server =
  "require('http').createServer((q,r)=>r.end('served')).listen(0,'127.0.0.1',function(){require('child_process').exec('curl -s http://127.0.0.1:'+this.address().port,(e,o)=>{console.log(o);process.exit()})})";
const threads = "import threading,concurrent.futures as f,multiprocessing as m,select,socket,tempfile,mmap,asyncio";

/** The program that it needs, what is run, what is printed. */
const cases: readonly (readonly [program: string, command: string, output: string])[] = [
  [
    "bash",
    "exec 3< <(echo a); read -r x <&3; coproc cat; echo $x >&${COPROC[1]}; read -r y <&${COPROC[0]}; echo $y",
    "a",
  ],
  [
    "bash",
    "timeout 5 sh -c 'sleep 0.01 & wait; nice -n 1 true; trap \"echo got\" USR1; kill -USR1 $$; sleep 0.01'",
    "got",
  ],
  [
    "tar",
    "mkdir -p t/a; echo x > t/a/b; ln -s b t/a/c; mkfifo t/f; tar -C t -czf t.tgz . && mkdir u && tar -C u -xzf t.tgz && cat u/a/c",
    "x",
  ],
  ["find", "find t -newer /etc/passwd -name b -exec cat {} + | xargs echo", "x"],
  [
    "git",
    "git init -q g && cd g && echo 1 > f && git add f && git -c user.name=a -c user.email=b@c commit -qm m && git gc -q && git log --format=%s",
    "m",
  ],
  ["python3", `python3 -c '${threads}; print(f.ThreadPoolExecutor(4).submit(lambda: 6*7).result())'`, "42"],
  [
    "python3",
    'python3 -c \'import subprocess,os; print(subprocess.run(["echo","sub"],capture_output=True,text=True).stdout.strip()); os.fork() and os.wait()\'',
    "sub\nsub",
  ],
  [
    "python3",
    'python3 -c \'import sqlite3; c=sqlite3.connect("d.db"); c.execute("pragma journal_mode=wal"); c.execute("create table t(x)"); print(c.execute("select count(*) from t").fetchone()[0])\'',
    "0",
  ],
  [
    "node",
    'node -e \'new (require("worker_threads").Worker)("require(\\"fs\\").writeFileSync(\\"w\\",\\"worked\\")",{eval:true}).on("exit",()=>console.log(require("fs").readFileSync("w","utf8")))\'',
    "worked",
  ],
  ["curl", `node -e "${server}"`, "served"],
  ["npm", "mkdir n && cd n && npm init -y > /dev/null && npm pkg get name", '"n"'],
  [
    "gcc",
    "printf '#include <pthread.h>\\n#include <stdio.h>\\nvoid*f(void*a){return a;}int main(){pthread_t t;pthread_create(&t,0,f,0);pthread_join(t,0);puts(\"compiled\");}' > c.c && gcc -O1 -pthread c.c -o c && ./c",
    "compiled",
  ],
  ["sqlite3", "sqlite3 s.db 'create table t(x); insert into t values(7); select x from t'", "7"],
  ["make", "printf 'all:\\n\\t@echo made\\n' > Makefile && make -s -j2", "made"],
  ["perl", "perl -e 'print fork() ? (wait() && \"perl\") : exit'", "perl"],
  [
    "zip",
    "zip -q z.zip c.c 2>/dev/null || (echo > zz; zip -q z.zip zz); unzip -l z.zip | tail -1 | awk '{print $2}'",
    "1",
  ],
  ["curl", "curl -s --max-time 5 https://example.com; echo $?", "6"],
];
const required = ["bash", "tar", "find", "git", "python3", "node"];

it("ordinary programs work", async () => {
  const run = async (command: string) => {
    const { exit, stdout, stderr } = await sandbox.session.run({ command, timeoutMs: 60_000 });
    return { command, exit, stderr: stderr.slice(0, 500), stdout: stdout.trim() };
  };
  const there = (program: string) => required.includes(program) || findProgram(program, "/usr/bin:/bin") !== null;
  const wanted = cases.filter(([program]) => there(program));
  for (const [, command, output] of wanted) expect(await run(command)).toMatchObject({ stdout: output });
  expect(wanted.length).toBeGreaterThanOrEqual(8);
});

it("the filter that sandboxes run under is what its source says", () => {
  const [path] = execFileSync("find", [test.directory, "-name", "*auto*.bpf*"], { encoding: "utf8" })
    .trim()
    .split("\n");
  expect(readFileSync(path ?? join(test.directory, "none"))).toEqual(
    assembleFilter(process.arch, { internet: true, extendedAttributes: true }),
  );
});
