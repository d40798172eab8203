/* Most of what a process is made with cannot change under it; it says so, rather than half of it
 * changing. */
#include "app/karezd_again.h"

#include <stddef.h>

#include "app/settings_diff.h"
#include "app/supervisor_config.h"

struct karezd_again {
	char names[600]; /* "--listen, --domain" */
	size_t len;
};

static void karezd_again_on_differs(void *arg, const struct config_option *row)
{
	struct karezd_again *a = arg;

	if (row->offset == offsetof(struct karezd_settings, log_level) ||
	    row->offset == offsetof(struct karezd_settings, drain_ms) ||
	    row->offset == offsetof(struct karezd_settings, drain_delay_ms))
		return;
	a->len += str_printf(a->names + a->len, sizeof a->names - a->len, "%s--%s",
			     a->len > 0 ? ", " : "", row->name);
}

int karezd_again(const struct config_input *in, struct karezd_settings *set, struct log *log,
		 char *why)
{
	struct karezd_again a = {.len = 0};
	struct supervisor_config *now;
	char reason[SUPERVISOR_CONFIG_WHY];
	int e = supervisor_config_load(in, &now, reason);

	if (e != 0) {
		str_printf(why, KAREZD_AGAIN_WHY, "%s", reason);
		log_error(log, "event=reload msg=\"%s; everything stays as it is\"", reason);
		return e;
	}
	settings_diff(&karezd_program, set, &now->set, karezd_again_on_differs, &a);
	set->log_level = now->set.log_level;
	set->drain_ms = now->set.drain_ms;
	set->drain_delay_ms = now->set.drain_delay_ms;
	log->level = (enum log_level)set->log_level;
	if (a.len > 0)
		log_warn(log, "event=reload msg=\"what has changed needs a restart: %s\"", a.names);
	else
		log_info(log, "event=reload msg=\"in force\"");
	supervisor_config_free(now);
	return 0;
}
