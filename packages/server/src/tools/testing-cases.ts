/**
 * What the tools answer, word for word, wherever the files are: each case runs over stored files and over files of a
 * sandbox. `$` is the directory in which a case works, `{3}` a version, which only stored files have.
 * @module
 */

export type ToolStep = readonly [tool: string, input: Readonly<Record<string, unknown>>, answer: string];

export interface ToolCase {
  readonly name: string;
  readonly steps: readonly ToolStep[];
  /** Where this is not supported, and why. */
  readonly notSupported?: { readonly in: "stored" | "sandbox"; readonly because: string };
}

const crlf = "one\r\ntwo\r\nthree\r\n";

const canonical: readonly ToolCase[] = [
  {
    name: "write, read, edit",
    steps: [
      ["write", { file_path: "$/a.md", content: "one\ntwo\ntwo\n" }, "File created successfully at: $/a.md{1}"],
      ["read", { file_path: "$/a.md" }, "     1\tone\n     2\ttwo\n     3\ttwo"],
      [
        "edit",
        { file_path: "$/a.md", old_string: "two", new_string: "2" },
        "edit: Found 2 matches of the string to replace, but replace_all is false. To replace all occurrences, set replace_all to true. To replace only one occurrence, please provide more context to uniquely identify the instance.\nString: two\nFile: $/a.md",
      ],
      [
        "edit",
        { file_path: "$/a.md", old_string: "two", new_string: "2", replace_all: true },
        "The file $/a.md has been updated successfully. All occurrences were successfully replaced (2).{2}",
      ],
      [
        "edit",
        { file_path: "$/a.md", old_string: "three", new_string: "3" },
        "edit: String to replace not found in file.\nString: three\nFile: $/a.md",
      ],
      ["write", { file_path: "$/a.md", content: "new" }, "The file $/a.md has been updated successfully.{3}"],
      [
        "read",
        { file_path: "$/a.md", offset: 5 },
        "<system-reminder>Warning: the file exists but is shorter than the provided offset (5). The file has 1 lines.</system-reminder>",
      ],
    ],
  },
  {
    name: "names and arguments that models know",
    steps: [
      ["Write", { path: "$/n.md", file_text: "x\n" }, "File created successfully at: $/n.md{1}"],
      ["read_file", { path: "$/n.md", offset: 1, limit: 5 }, "     1\tx"],
      ["Edit", { path: "$/n.md", old_str: "x", new_str: "y" }, "The file $/n.md has been updated successfully.{2}"],
      ["Grep", { pattern: "Y", path: "$", "-i": true, output_mode: "files_with_matches" }, "Found 1 file\n$/n.md"],
      ["Glob", { pattern: "*.md", path: "$" }, "$/n.md"],
      ["ls", { path: "$" }, "$/n.md"],
    ],
  },
  {
    name: "an empty file, and one that is not there",
    steps: [
      ["write", { file_path: "$/e", content: "" }, "File created successfully at: $/e{1}"],
      [
        "read",
        { file_path: "$/e" },
        "<system-reminder>Warning: the file exists but the contents are empty.</system-reminder>",
      ],
      ["read", { file_path: "$/none" }, "read: $/none does not exist."],
      ["edit", { file_path: "$/none", old_string: "a", new_string: "b" }, "edit: $/none does not exist."],
      ["grep", { pattern: "x", path: "$" }, "No matches found"],
      ["grep", { pattern: "x", path: "$", output_mode: "files_with_matches" }, "No files found"],
      ["glob", { pattern: "*.ts", path: "$" }, "No files found"],
    ],
  },
  {
    name: "carriage returns, which an edit keeps",
    steps: [
      ["write", { file_path: "$/w.txt", content: crlf }, "File created successfully at: $/w.txt{1}"],
      ["read", { file_path: "$/w.txt" }, "     1\tone\n     2\ttwo\n     3\tthree"],
      [
        "edit",
        { file_path: "$/w.txt", old_string: "one\ntwo", new_string: "1\n2\n2.5" },
        "The file $/w.txt has been updated successfully.{2}",
      ],
      ["grep", { pattern: "2\\.5", path: "$/w.txt" }, "$/w.txt:3:2.5"],
      [
        "apply_patch",
        { patch: "*** Begin Patch\n*** Update File: $/w.txt\n 2.5\n-three\n+3\n*** End Patch" },
        "Success. Updated the following files:\nM $/w.txt",
      ],
      [
        "grep",
        { pattern: "^[^\\r]*\\r\\n[^\\r]*\\r\\n2\\.5\\r\\n3\\r\\n", path: "$/w.txt", multiline: true, "-n": false },
        "$/w.txt:1\n$/w.txt:2\n$/w.txt:2.5\n$/w.txt:3",
      ],
    ],
  },
  {
    name: "text of every kind",
    steps: [
      ["write", { file_path: "$/ü/日本.md", content: "naïve 😀\n" }, "File created successfully at: $/ü/日本.md{1}"],
      [
        "edit",
        { file_path: "$/ü/日本.md", old_string: "😀", new_string: "$& ok" },
        "The file $/ü/日本.md has been updated successfully.{2}",
      ],
      ["read", { file_path: "$/ü/日本.md" }, "     1\tnaïve $& ok"],
      ["glob", { pattern: "**/*.md", path: "$" }, "$/ü/日本.md"],
    ],
  },
  {
    name: "grep in every mode",
    steps: [
      [
        "write",
        { file_path: "$/a.ts", content: "a\nfoo 1\nb\nc\nfoo foo 2\nd\n" },
        "File created successfully at: $/a.ts{1}",
      ],
      ["write", { file_path: "$/b.md", content: "foo 3\n" }, "File created successfully at: $/b.md{1}"],
      ["grep", { pattern: "foo \\d", path: "$" }, "$/a.ts:2:foo 1\n$/a.ts:5:foo foo 2\n$/b.md:1:foo 3"],
      ["grep", { pattern: "foo \\d", path: "$", "-o": true, "-n": false }, "$/a.ts:foo 1\n$/a.ts:foo 2\n$/b.md:foo 3"],
      [
        "grep",
        { pattern: "foo \\d", path: "$", "-C": 1, type: "ts" },
        "$/a.ts-1-a\n$/a.ts:2:foo 1\n$/a.ts-3-b\n$/a.ts-4-c\n$/a.ts:5:foo foo 2\n$/a.ts-6-d",
      ],
      [
        "grep",
        { pattern: "foo \\d", path: "$", "-A": 1, glob: "*.ts" },
        "$/a.ts:2:foo 1\n$/a.ts-3-b\n--\n$/a.ts:5:foo foo 2\n$/a.ts-6-d",
      ],
      [
        "grep",
        { pattern: "foo", path: "$", output_mode: "count" },
        "$/a.ts:2\n$/b.md:1\n\nFound 3 total occurrences across 2 files.",
      ],
      [
        "grep",
        { pattern: "foo", path: "$", head_limit: 1 },
        "$/a.ts:2:foo 1\n[Showing results with pagination = limit: 1, offset: 0]",
      ],
      [
        "grep",
        { pattern: "foo", path: "$", head_limit: 1, offset: 1 },
        "$/a.ts:5:foo foo 2\n[Showing results with pagination = limit: 1, offset: 1]",
      ],
      ["grep", { pattern: "foo", path: "$", output_mode: "files_with_matches", offset: 1 }, "Found 1 file\n$/b.md"],
      ["grep", { pattern: "b\\nc", path: "$", multiline: true }, "$/a.ts:3:b\n$/a.ts:4:c"],
    ],
  },
  {
    name: "a write over what this session has not seen",
    notSupported: { in: "sandbox", because: "files of a sandbox have no versions" },
    steps: [
      ["theirs", { path: "$/t.md", text: "theirs" }, ""],
      [
        "write",
        { file_path: "$/t.md", content: "mine" },
        "write: File has not been read yet. Read it first before writing to it. $/t.md is at version 1, saved by session OTHER at TIME; nothing was written.",
      ],
      ["read", { file_path: "$/t.md" }, "     1\ttheirs"],
      ["theirs", { path: "$/t.md", text: "again" }, ""],
      [
        "write",
        { file_path: "$/t.md", content: "mine" },
        "write: File has been modified since read. Read it again before attempting to write it. You know version 1 of $/t.md; it is now version 2, saved by session OTHER at TIME; nothing was written.",
      ],
    ],
  },
];

const patches: readonly ToolCase[] = [
  {
    name: "apply_patch",
    steps: [
      ["write", { file_path: "$/keep.md", content: "a\nb\nc\n" }, "File created successfully at: $/keep.md{1}"],
      ["write", { file_path: "$/old.md", content: "x\n" }, "File created successfully at: $/old.md{1}"],
      ["write", { file_path: "$/moved.md", content: "m\n" }, "File created successfully at: $/moved.md{1}"],
      [
        "apply_patch",
        {
          input:
            "*** Begin Patch\n*** Update File: $/keep.md\n@@ a\n-b\n+B\n*** Add File: $/d/new.md\n+n\n*** Delete File: $/old.md\n*** Update File: $/moved.md\n*** Move to: $/d/there.md\n-m\n+M\n*** End Patch",
        },
        "Success. Updated the following files:\nM $/keep.md\nA $/d/new.md\nD $/old.md\nM $/moved.md -> $/d/there.md",
      ],
      [
        "grep",
        { pattern: ".", path: "$" },
        "$/d/new.md:1:n\n$/d/there.md:1:M\n$/keep.md:1:a\n$/keep.md:2:B\n$/keep.md:3:c",
      ],
    ],
  },
  {
    name: "apply_patch changes nothing when a part of it does not apply",
    steps: [
      ["write", { file_path: "$/a.md", content: "a\n" }, "File created successfully at: $/a.md{1}"],
      [
        "apply_patch",
        {
          patch: "*** Begin Patch\n*** Update File: $/a.md\n-a\n+b\n*** Update File: $/none.md\n-a\n+b\n*** End Patch",
        },
        "Update File Error: Missing File: $/none.md\nNothing was changed.",
      ],
      [
        "apply_patch",
        { patch: "*** Begin Patch\n*** Add File: $/z.md\n+z\n*** Update File: $/a.md\n-q\n+b\n*** End Patch" },
        "Failed to find expected lines in $/a.md:\nq\nNothing was changed.",
      ],
      [
        "apply_patch",
        { patch: "*** Begin Patch\n*** Add File: $/a.md\n+z\n*** End Patch" },
        "Add File Error: File already exists: $/a.md\nNothing was changed.",
      ],
      [
        "apply_patch",
        { operation: { type: "update_file", path: "$/a.md", diff: "-a\n+A" } },
        "Success. Updated the following files:\nM $/a.md",
      ],
      [
        "apply_patch",
        { operation: { type: "create_file", path: "$/b.md", diff: "+b" } },
        "Success. Updated the following files:\nA $/b.md",
      ],
      [
        "apply_patch",
        { operation: { type: "delete_file", path: "$/b.md" } },
        "Success. Updated the following files:\nD $/b.md",
      ],
      ["grep", { pattern: ".", path: "$" }, "$/a.md:1:A"],
    ],
  },
];

const editors: readonly ToolCase[] = [
  {
    name: "str_replace_based_edit_tool",
    steps: [
      [
        "str_replace_based_edit_tool",
        { command: "create", path: "$/e.md", file_text: "a\nb\na\n" },
        "File created successfully at: $/e.md",
      ],
      [
        "str_replace_editor",
        { command: "view", path: "$/e.md", view_range: [2, 3] },
        "Here's the result of running `cat -n` on $/e.md:\n     2\tb\n     3\ta",
      ],
      [
        "str_replace_editor",
        { command: "view", path: "$" },
        "Here's the files and directories up to 2 levels deep in $, excluding hidden items:\n6B\t$\n6B\t$/e.md",
      ],
      [
        "str_replace_editor",
        { command: "str_replace", path: "$/e.md", old_str: "a", new_str: "c" },
        "No replacement was performed. Multiple occurrences of old_str `a` in lines: 1, 3. Please ensure it is unique",
      ],
      [
        "str_replace_editor",
        { command: "str_replace", path: "$/e.md", old_str: "q", new_str: "c" },
        "No replacement was performed, old_str `q` did not appear verbatim in $/e.md.",
      ],
      [
        "str_replace_editor",
        { command: "str_replace", path: "$/e.md", old_str: "b", new_str: "B" },
        "The file $/e.md has been edited. Here's the result of running `cat -n` on a snippet of $/e.md:\n     1\ta\n     2\tB\n     3\ta\n     4\t\nReview the changes and make sure they are as expected (correct indentation, no duplicate lines, etc). Edit the file again if necessary.",
      ],
      [
        "str_replace_editor",
        { command: "insert", path: "$/e.md", insert_line: 9, insert_text: "x" },
        "Invalid `insert_line` parameter: 9. It should be within the range of lines of the file: [0, 4]",
      ],
      [
        "str_replace_editor",
        { command: "view", path: "$/none" },
        "The path $/none does not exist. Please provide a valid path.",
      ],
      [
        "str_replace_editor",
        { command: "insert", path: "$", insert_line: 0, insert_text: "x" },
        "The path $ is a directory and only the `view` command can be used on directories",
      ],
      [
        "str_replace_editor",
        { command: "create", path: "$/f.md" },
        "Parameter `file_text` is required for command: create",
      ],
    ],
  },
];

export const toolCases: readonly ToolCase[] = [...canonical, ...patches, ...editors];
