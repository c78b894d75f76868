/* SPDX-License-Identifier: BSD-2-Clause */
/* other.c - a module that says it belongs to another library. */
#include "internal.h"

KBP_API const struct kbp_module kbp_backend_module;
const struct kbp_module kbp_backend_module = { .abi = KBP_MODULE_ABI,
					       .hot_abi = KBP_HOT_ABI,
					       .version = "0.0.0" };
