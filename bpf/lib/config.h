/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* This file contains the settings: read-only data that is set when an object is loaded. */
#ifndef MESH_CONFIG_H
#define MESH_CONFIG_H

#include "common.h"

const volatile struct datapath_config config = {};

/* CONFIG(cluster_id): the verifier sees a constant and removes dead branches. */
#define CONFIG(field) (config.field)

#endif
