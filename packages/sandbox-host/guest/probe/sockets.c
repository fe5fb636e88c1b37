/* Ways to talk: networks, UNIX sockets, protocols of the kernel. */
#define _GNU_SOURCE
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { FAMILY_VSOCK = 40, FAMILY_XDP = 44, NETLINK_FILTER = 12, NETLINK_EVENTS = 15, NETLINK_AUDIT_ = 9 };

#define SOCKET(name, family, kind, protocol) \
  static void name(void) { answer_call(socket(family, (kind) | SOCK_CLOEXEC, protocol)); }
SOCKET(packet_raw, AF_PACKET, SOCK_RAW, 0)
SOCKET(packet_datagram, AF_PACKET, SOCK_DGRAM, 0)
SOCKET(internet_raw, AF_INET, SOCK_RAW, IPPROTO_ICMP)
SOCKET(virtual_machine, FAMILY_VSOCK, SOCK_STREAM, 0)
SOCKET(express_data_path, FAMILY_XDP, SOCK_RAW, 0)
SOCKET(netlink_filter, AF_NETLINK, SOCK_RAW, NETLINK_FILTER)
SOCKET(netlink_events, AF_NETLINK, SOCK_RAW, NETLINK_EVENTS)
SOCKET(netlink_audit, AF_NETLINK, SOCK_RAW, NETLINK_AUDIT_)

static void reach_unix(const struct sockaddr_un *address, socklen_t length) {
  int own = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (own < 0) answer_error(errno, "socket");
  answer_call(connect(own, (const struct sockaddr *)address, length));
}

static void reach_named(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) answer_error(EINVAL, "path too long");
  strcpy(address.sun_path, path);
  reach_unix(&address, sizeof address);
}
static void named_socket(void) { reach_named(given("socket")); }

static void abstract_socket(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const char *name = given("abstract");
  if (strlen(name) >= sizeof address.sun_path - 1) answer_error(EINVAL, "name too long");
  memcpy(address.sun_path + 1, name, strlen(name));
  reach_unix(&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name)));
}

/* Sockets by which programs that make containers are commanded. */
static void runtime_socket(void) {
  static const char *const paths[] = {"/var/run/docker.sock",
                                      "/run/docker.sock",
                                      "/run/containerd/containerd.sock",
                                      "/run/crio/crio.sock",
                                      "/run/podman/podman.sock",
                                      "/run/user/1000/podman/podman.sock",
                                      "/run/dbus/system_bus_socket",
                                      "/run/systemd/private"};
  struct stat found;
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
    if (lstat(paths[i], &found) == 0) answer_found(paths[i]);
  answer_nothing();
}

static char seen[256];
static bool is_socket(const char *path) {
  struct stat found;
  if (lstat(path, &found) != 0 || !S_ISSOCK(found.st_mode)) return false;
  snprintf(seen, sizeof seen, "%s", path);
  return true;
}

/* The workload may make sockets of its own in its workspace and /tmp: these are not looked at. */
static void any_socket(void) {
  static const char *const places[] = {"/run", "/var", "/opt", "/etc", "/home", "/dev", "/skills", "/memory", "/mnt"};
  if (walk("/", 1, is_socket)) answer_found(seen);
  for (size_t i = 0; i < sizeof places / sizeof *places; i++)
    if (walk(places[i], 4, is_socket)) answer_found(seen);
  answer_nothing();
}

static void reach_internet(int family, const char *host, int port, int kind) {
  struct sockaddr_in address4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  struct sockaddr_in6 address6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
  int own = socket(family, kind | SOCK_CLOEXEC, 0);
  if (own < 0) answer_error(errno, "socket");
  inet_pton(family, host, family == AF_INET ? (void *)&address4.sin_addr : (void *)&address6.sin6_addr);
  answer_call(family == AF_INET ? connect(own, (struct sockaddr *)&address4, sizeof address4)
                                : connect(own, (struct sockaddr *)&address6, sizeof address6));
}
static void host_loopback(void) { reach_internet(AF_INET, "127.0.0.1", atoi(given("port")), SOCK_STREAM); }
static void host_any_address(void) { reach_internet(AF_INET, "0.0.0.0", atoi(given("port")), SOCK_STREAM); }
static void host_mapped(void) { reach_internet(AF_INET6, "::ffff:127.0.0.1", atoi(given("port")), SOCK_STREAM); }

/* Connecting a datagram socket asks for a route and sends nothing. The addresses are reserved for documentation. */
static void route_out(void) { reach_internet(AF_INET, "198.51.100.1", 53, SOCK_DGRAM); }
static void route_metadata(void) { reach_internet(AF_INET, "169.254.169.254", 80, SOCK_DGRAM); }

static void look_in(const char *path, const char *text) {
  char line[1024];
  FILE *table = fopen(path, "re");
  if (table == NULL) answer_error(errno, path);
  while (fgets(line, sizeof line, table) != NULL)
    if (strstr(line, text) != NULL) answer_found(path);
  answer_nothing();
}
static void listed_unix_sockets(void) { look_in("/proc/net/unix", given("abstract")); }
static void listed_ports(void) {
  char port[16];
  snprintf(port, sizeof port, ":%04X ", (unsigned)atoi(given("port")));
  look_in("/proc/net/tcp", port);
}

static void interfaces(void) {
  struct if_nameindex *all = if_nameindex();
  if (all == NULL) answer_error(errno, "if_nameindex");
  for (struct if_nameindex *one = all; one->if_index != 0; one++)
    if (strcmp(one->if_name, "lo") != 0) answer_found(one->if_name);
  answer_nothing();
}

const struct probe socket_probes[] = {
    {"packet-raw", packet_raw},
    {"packet-datagram", packet_datagram},
    {"internet-raw", internet_raw},
    {"virtual-machine-socket", virtual_machine},
    {"express-data-path", express_data_path},
    {"netlink-filter", netlink_filter},
    {"netlink-events", netlink_events},
    {"netlink-audit", netlink_audit},
    {"named-socket", named_socket},
    {"abstract-socket", abstract_socket},
    {"runtime-socket", runtime_socket},
    {"any-socket", any_socket},
    {"host-loopback", host_loopback},
    {"host-any-address", host_any_address},
    {"host-mapped", host_mapped},
    {"route-out", route_out},
    {"route-metadata", route_metadata},
    {"listed-unix-sockets", listed_unix_sockets},
    {"listed-ports", listed_ports},
    {"interfaces", interfaces},
    {NULL, NULL},
};
