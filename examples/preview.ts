/**
 * The agent starts a server in the background of its sandbox; an address to the server's port is made and asked, what
 * the server has printed is read, and the server is ended.
 * @module
 */
import { connect, model, script } from "./connection.ts";

const client = connect();
const agent = await client.beta.agents.create({
  name: "web developer",
  model,
  tools: [{ type: "agent_toolset_20260401" }],
});
const environment = await client.beta.environments.create({ name: `preview ${Date.now()}` });
const session = await client.beta.sessions.create({ agent: agent.id, environment_id: environment.id });
const stream = await client.beta.sessions.events.stream(session.id);

// In Perl, which every sandbox of a Debian has; with a real model, ask for whatever you like.
const server = `
use IO::Socket::INET;
my $listener = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 8000, Listen => 9) or die;
$| = 1;
print "ready\\n";
while (my $browser = $listener->accept) {
  my $request = <$browser>;
  while (<$browser>) { last if /^\\r?$/ }
  print "asked: $request";
  print $browser "HTTP/1.1 200 OK\\r\\nContent-Type: text/html\\r\\nConnection: close\\r\\n\\r\\n<h1>It works</h1>\\n";
  close $browser;
}
`;
const steps = script([
  { toolCalls: [{ name: "write", input: { file_path: "/workspace/server.pl", content: server } }] },
  { toolCalls: [{ name: "bash", input: { command: "perl server.pl", run_in_background: true } }] },
  { text: "The page is at port 8000." },
]);
await client.beta.sessions.events.send(session.id, {
  events: [{ type: "user.message", content: [{ type: "text", text: `Serve a page at port 8000.\n${steps}` }] }],
});
for await (const event of stream) {
  if (event.type === "agent.message")
    console.log("agent:", event.content.map((part) => ("text" in part ? part.text : "")).join(""));
  if (event.type === "session.status_idle") break;
}

// What this server adds lives under /v1/x: the SDK's own methods for any path serve it.
const path = `/v1/x/sessions/${session.id}`;
const { url } = await client.post<{ url: string }>(`${path}/previews`, { body: { port: 8000, seconds: 600 } });
console.log("page:", (await waitForPage(`${url}hello`)).trim());

const { data: commands } = await client.get<{ data: { id: string; state: string }[] }>(`${path}/commands`);
const [command] = commands;
console.log("command:", command?.state);
const output = await client.get<Response>(`${path}/commands/${command?.id}/output`, { __binaryResponse: true });
console.log("printed:", (await output.text()).trim().replaceAll("\n", " | "));
const signal = { body: { signal: "SIGTERM" } };
console.log(
  "ended:",
  (await client.post<{ delivered: boolean }>(`${path}/commands/${command?.id}/signal`, signal)).delivered,
);

/** The server needs a moment before it listens. */
async function waitForPage(address: string): Promise<string> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const response = await fetch(address);
    if (response.ok) return response.text();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("the page did not come");
}
