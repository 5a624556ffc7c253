{
  "targets": [
    {
      "target_name": "bpf",
      "sources": [
        "module.c", "util.c", "fd.c", "map.c", "mapping.c", "mapping_each.c", "object.c", "link.c", "fd_poll.c", "ring.c",
        "netlink.c", "netlink_request.c", "netns.c", "work.c", "os.c"
      ],
      "defines": ["NAPI_VERSION=8", "_GNU_SOURCE"],
      "cflags": ["-std=gnu11", "-Wall", "-Wextra", "-O2", "-fvisibility=hidden"],
      "libraries": ["-lbpf"]
    }
  ]
}
