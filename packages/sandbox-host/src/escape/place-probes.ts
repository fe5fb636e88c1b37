/**
 * Live probes of everything but system calls, as data: the questions are in guest/probe/*.c.
 * @module
 */
import type { ProbeRow } from "./probe.ts";

const nothing = ["nothing"];
/** It is not there, or not for us. */
const absent = ["ENOENT", "EACCES", "EPERM", "EROFS"];
const readOnly = ["EROFS", "EACCES", "EPERM"];
const noFamily = ["EAFNOSUPPORT"];

export const kernelFileProbes: readonly ProbeRow[] = [
  ["core-pattern", 16, "opens core_pattern for writing", absent],
  ["address-randomization", 16, "opens randomize_va_space for writing", absent],
  ["memory-overcommit", 16, "opens overcommit_memory for writing", absent],
  ["packet-forwarding", 16, "opens ip_forward for writing", absent],
  ["drop-caches", 16, "opens drop_caches for writing", absent],
  ["interrupt-affinity", null, "opens the interrupts' affinity for writing", absent],
  ["kernel-log", null, "opens the kernel's log", absent],
  ["page-counts", null, "opens the counts of physical pages", absent],
  ["kernel-memory-map", null, "opens the map of the kernel's memory", absent],
  ["kernel-slabs", null, "opens the kernel's allocations", absent],
  ["kernel-timers", null, "opens the kernel's timers", absent],
  ["kernel-log-device", null, "opens /dev/kmsg", absent],
  ["device-fuse", null, "opens /dev/fuse", absent],
  ["device-tunnel", null, "opens /dev/net/tun", absent],
  ["device-loop-control", 1, "opens /dev/loop-control", absent],
  ["device-console", null, "opens a console", absent],
  ["sys-block", 1, "lists the host's disks", absent],
  ["sys-interfaces", null, "lists the host's network interfaces", absent],
  ["sys-modules", 6, "lists kernel modules", absent],
  ["sys-firmware", null, "lists firmware tables", absent],
  ["sys-kernel", null, "lists /sys/kernel", absent],
  ["sys-cgroups", 8, "lists the control groups", absent],
  ["power-state", null, "opens the machine's power state for writing", absent],
  ["shared-memory", null, "opens shared memory of the host", absent],
  ["writable-sysctls", 16, "may write any file below /proc/sys", nothing],
  ["writable-sys", null, "may write any file below /sys", ["nothing", "ENOENT"]],
  ["writable-interrupts", null, "may write any file below /proc/irq", ["nothing", "ENOENT"]],
  ["writable-cgroups", 8, "may write a release_agent or a list of processes", nothing],
  ["block-devices", 1, "finds a block device", nothing],
  ["unusual-devices", 1, "finds a device that nobody needs", nothing],
  ["writable-device-directory", null, "may make files in /dev, which has no size", ["EROFS", "EACCES"]],
  ["kernel-addresses", null, "reads addresses of the kernel's functions", ["nothing", ...absent]],
  ["physical-addresses", null, "reads physical addresses of its pages", ["nothing", ...absent]],
];

export const fileProbes: readonly ProbeRow[] = [
  ["flag-by-path", 3, "opens the flag by its path on the host", absent],
  ["flag-through-init", 4, "opens the flag through the root of process 1", absent],
  ["flag-above", 10, "opens the flag above its working directory", absent],
  ["flag-through-descriptors", 10, "opens the flag through an open descriptor", nothing],
  ["further-descriptors", 10, "has a descriptor beside the standard three", nothing],
  ["working-directory", 10, "stands outside of its root", nothing],
  ["write-passwd", 3, "opens /etc/passwd for writing", readOnly],
  ["write-system-file", 3, "opens a system file for writing", readOnly],
  ["write-supervisor", 9, "opens the supervisor's program for writing", readOnly],
  ["write-init-program", 9, "opens the program of process 1 for writing", readOnly],
  ["service-token", 15, "opens a service account's token", absent],
  ["write-root", 3, "may make files in /", readOnly],
  ["write-etc", 3, "may make files in /etc", readOnly],
  ["write-usr", 3, "may make files in /usr", readOnly],
  ["writable-mounts", 3, "has a writable mount beside its own", nothing],
  ["powerful-mounts", 3, "has a writable mount with set-user-id files or devices", nothing],
  ["unbounded-memory-files", null, "has a file system in memory of more than 1 GiB", nothing],
  ["core-files", 16, "may have a core file written", nothing],
  ["environment", 15, "has a variable of a cluster, a cloud, or the host", nothing],
];

export const socketProbes: readonly ProbeRow[] = [
  ["packet-raw", 14, "opens a raw packet socket", noFamily],
  ["packet-datagram", 14, "opens a packet socket", noFamily],
  ["internet-raw", 14, "opens a raw internet socket", ["EPERM", "EACCES"]],
  ["virtual-machine-socket", null, "opens a socket to the hypervisor", noFamily],
  ["express-data-path", null, "opens a socket beside the network stack", noFamily],
  ["netlink-filter", null, "talks to the packet filter", noFamily],
  ["netlink-events", null, "listens to the kernel's device events", noFamily],
  ["netlink-audit", null, "talks to the audit system", noFamily],
  ["named-socket", 2, "connects to a named socket of the host", ["ENOENT", "EACCES"]],
  ["abstract-socket", 2, "connects to an abstract socket of the host", ["ECONNREFUSED", "EPERM"]],
  ["runtime-socket", 2, "finds the socket of a container runtime", nothing],
  ["any-socket", 2, "finds any socket outside of its workspace", nothing],
  ["host-loopback", 18, "connects to a server on the host's loopback interface", ["ECONNREFUSED"]],
  ["host-any-address", 18, "connects to it by 0.0.0.0", ["ECONNREFUSED"]],
  ["host-mapped", 18, "connects to it by an IPv6 name of its IPv4 address", ["ECONNREFUSED"]],
  ["route-out", 15, "has a route to the internet", ["ENETUNREACH"]],
  ["route-metadata", 15, "has a route to a cloud's metadata service", ["ENETUNREACH"]],
  ["listed-unix-sockets", 2, "sees the host's UNIX sockets", nothing],
  ["listed-ports", 18, "sees the host's TCP ports", nothing],
  ["interfaces", 18, "has an interface beside an empty loopback", nothing],
];

export const processProbes: readonly ProbeRow[] = [
  ["host-environment", 4, "reads a secret in the environment of a process of the host", nothing],
  ["host-command-lines", 4, "reads the command line of a process of the host", nothing],
  ["signal-host-process", 4, "may signal a process of the host", ["ESRCH", "EPERM"]],
  ["name-host-process", 4, "opens a process of the host", ["ESRCH", "EPERM"]],
  ["seize-host-process", 4, "traces a process of the host", ["ESRCH", "EPERM"]],
  ["memory-of-host-process", 4, "opens the memory of a process of the host", absent],
  ["namespace-of-host-process", 4, "opens the mounts of a process of the host", absent],
  ["memory-of-init", null, "opens the memory of process 1", absent],
  ["descriptors-of-init", null, "lists the descriptors of process 1", absent],
];

export const identityProbes: readonly ProbeRow[] = [
  ["namespace-user", null, "has the user namespace of what launched it", nothing],
  ["namespace-mount", null, "has its mounts", nothing],
  ["namespace-pid", 4, "has its processes", nothing],
  ["namespace-network", 18, "has its network", nothing],
  ["namespace-ipc", null, "has its shared memory and queues", nothing],
  ["namespace-hostname", null, "has its host name", nothing],
  ["namespace-cgroup", 8, "has its view of control groups", nothing],
  ["capabilities-effective", 1, "has a capability", nothing],
  ["capabilities-permitted", 1, "may take a capability", nothing],
  ["capabilities-inheritable", 1, "may pass a capability on", nothing],
  ["capabilities-bounding", 1, "may get a capability by a program", nothing],
  ["capabilities-ambient", 1, "passes a capability on", nothing],
  ["new-privileges", null, "may get privileges by a program", nothing],
  ["system-call-filter", null, "has no system call filter", nothing],
  ["root-user", null, "is root inside", nothing],
  ["further-groups", null, "has a group of the host", nothing],
];
