import { expect, test } from "vitest";
import { readTypedLine, showTyped } from "./attach.ts";

const message = (text: string) => ({
  type: "events",
  events: [{ type: "user.message", content: [{ type: "text", text }] }],
});

test("a line is a message, also when it begins with an escaped slash", () => {
  expect(readTypedLine(" go on ")).toEqual(message("go on"));
  expect(readTypedLine("//etc/passwd is what?")).toEqual(message("/etc/passwd is what?"));
  expect(readTypedLine("   ")).toEqual({ type: "nothing" });
});

test("commands become the API's events", () => {
  expect(readTypedLine("/stop")).toEqual({ type: "events", events: [{ type: "user.interrupt" }] });
  expect(readTypedLine("/queue  then the  rest ")).toEqual({
    type: "events",
    events: [
      {
        type: "user.message",
        content: [{ type: "text", text: "then the  rest" }],
        x_exoloop: { delivery: "queue" },
      },
    ],
  });
  expect(readTypedLine("/allow sevt_1")).toEqual({
    type: "events",
    events: [{ type: "user.tool_confirmation", tool_use_id: "sevt_1", result: "allow" }],
  });
  expect(readTypedLine("/deny sevt_1 not on main")).toEqual({
    type: "events",
    events: [
      {
        type: "user.tool_confirmation",
        tool_use_id: "sevt_1",
        result: "deny",
        deny_message: "not on main",
      },
    ],
  });
  expect(readTypedLine("/detach")).toEqual({ type: "detach" });
});

test("a mistyped command is never sent as a message", () => {
  for (const line of ["/alow sevt_1", "/allow", "/queue", "/deny ", "/etc/passwd"])
    expect(readTypedLine(line).type).toBe("remark");
});

test("what is typed is shown with its end in sight, spaces included, and escaped", () => {
  expect(showTyped("ab ", 20)).toBe("› ab ");
  expect(showTyped(`${"x".repeat(30)}end`, 10)).toBe("… xxxend");
  expect(showTyped("\u202e", 20)).toBe("› \\u202e");
});
