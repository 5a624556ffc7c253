/** Numbers of the kernel's interface (linux/bpf.h, linux/magic.h) that this package uses. */

export const MapType = {
  Hash: 1,
  Array: 2,
  PerCpuArray: 6,
  LruHash: 9,
  LpmTrie: 11,
  ArrayOfMaps: 12,
  SkStorage: 24,
  RingBuffer: 27,
} as const;

export const MapFlag = { None: 0, NoPrealloc: 1, Mappable: 1 << 10 } as const;

export const UpdateFlag = { Any: 0, NoExist: 1, Exist: 2 } as const;

/**
 * BPF_PROG_TYPE_CGROUP_SOCK_ADDR and BPF_FUNC_set_retval; with that helper a refused connect fails with ECONNREFUSED.
 */
export const PROGRAM_TYPE_SOCK_ADDR = 18;
export const HELPER_SET_RETVAL = 187;

export const BPFFS_MAGIC = 0xcafe4a11;
export const CGROUP2_MAGIC = 0x63677270;

export const Errno = { ENOENT: 2, E2BIG: 7, ENOMEM: 12, EEXIST: 17, ENOSPC: 28, ESTALE: 116 } as const;
