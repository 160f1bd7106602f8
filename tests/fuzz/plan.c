/* SPDX-License-Identifier: MIT */
/* A plan that decodes can be encoded, and what was encoded decodes again. */
#include "target.h"

#include "plan/plan.h"

bool target_run(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	AUTO_PLAN plan = {0};
	if (plan_decode((const char *)data, size, &plan, &err) < 0) {
		expect(err.msg[0] != '\0');
		return false;
	}
	AUTO_BUF text = {0};
	expect(plan_encode(&plan, &text, &err) == 0);
	AUTO_PLAN again = {0};
	expect(plan_decode((const char *)text.data, text.len, &again, &err) == 0);
	return true;
}
