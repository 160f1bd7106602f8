/* SPDX-License-Identifier: MIT */
#ifndef PLAN_TEXT_H
#define PLAN_TEXT_H

/* What the writer and the reader of the plan's text agree on. docs/formats/plan.md. */

#define PLAN_TEXT_MAGIC "snowboot-plan"
#define PLAN_TEXT_FIRST_LINE PLAN_TEXT_MAGIC " 1"
#define PLAN_TEXT_LAST_LINE "end"

/* Bounds of the reader: far beyond any real system, far below what hurts. */
#define PLAN_TEXT_MAX ((size_t)64 << 20) /* bytes */
#define PLAN_LINE_MAX 4096               /* bytes: a path and its key */
#define PLAN_PARTS_MAX ((size_t)1 << 18)
#define PLAN_OPTS_MAX 64

#endif
