// SPDX-License-Identifier: Apache-2.0
// A call in another network namespace. Only for worker threads: no other thread changes its namespace.
#pragma once

// Calls `call(data)` in the network namespace of this path, "" = that of the thread; returns its result, or an errno when
// the namespace cannot be entered.
int in_netns(const char *path, int (*call)(void *), void *data);
