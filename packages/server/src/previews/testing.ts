/** A server for a sandbox, in what every machine has. @module */

/** Tells the request that it got and how long its body was; on a WebSocket, repeats lines. */
const program = `
  use IO::Socket::INET;
  use POSIX ":sys_wait_h";
  my $port = shift;
  my $listener = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $port, Listen => 9, ReuseAddr => 1) or die;
  while (1) {
    1 while waitpid(-1, WNOHANG) > 0;
    my $client = $listener->accept or next;
    next if fork;
    my ($request, $length, $upgrade) = (scalar <$client>, 0, 0);
    while (my $line = <$client>) {
      $length = $1 if $line =~ /^content-length: *(\\d+)/i;
      $upgrade = 1 if $line =~ /^upgrade:/i;
      last if $line =~ /^\\r?$/;
    }
    $client->autoflush(1);
    if ($upgrade) {
      print $client "HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n";
      while (my $line = <$client>) { print $client "echo $line"; }
    } else {
      my $taken = 0;
      while ($taken < $length) { my $got = read $client, my $part, $length - $taken or last; $taken += $got; }
      my ($method, $target) = split " ", $request;
      my $body = $length ? "$method $target $taken" : "$method $target";
      print $client "HTTP/1.1 200 OK\\r\\nContent-Length: " . length($body) . "\\r\\nConnection: close\\r\\n\\r\\n$body";
    }
    exit;
  }
`;

/** The command that starts it. */
export function perlServer(port: number): string {
  return `cat > /tmp/server.pl <<'PROGRAM'\n${program}\nPROGRAM\nexec perl /tmp/server.pl ${port}`;
}
