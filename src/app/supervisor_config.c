/* The engine reads a file by its path; so a copy is made, and named behind all other words. */
#include "app/supervisor_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/run_dir.h"
#include "base/buf.h"
#include "base/err.h"
#include "config/tree.h"

int supervisor_config_load(const struct config_input *in, struct supervisor_config **out, char *why)
{
	struct supervisor_config *c = calloc(1, sizeof *c);
	int e = ERR_NOMEM;

	if (c != NULL)
		e = config_load(&karezd_program, in, &c->set, &c->config);
	if (e == 0)
		MOVE(*out, c);
	else
		str_printf(why, SUPERVISOR_CONFIG_WHY, "%s",
			   e == ERR_INVAL ? config_message(c->config) : err_text(e));
	supervisor_config_free(c);
	return e;
}

int supervisor_config_thaw(const struct config_input *in, const char *path,
			   struct supervisor_config **out, char *why)
{
	struct config_input more = {.argc = in->argc + 1, .envp = in->envp};
	char option[RUN_DIR_FILE_TEXT + 16], **argv;
	int e;

	str_printf(option, sizeof option, "--config=%s", path);
	if ((argv = calloc((size_t)in->argc + 2, sizeof *argv)) == NULL) {
		str_printf(why, SUPERVISOR_CONFIG_WHY, "%s", err_text(ERR_NOMEM));
		return ERR_NOMEM;
	}
	memcpy(argv, in->argv, (size_t)in->argc * sizeof *argv);
	argv[in->argc] = option;
	more.argv = argv;
	e = supervisor_config_load(&more, out, why);
	free(argv);
	return e;
}

/* file: NULL for none, which is an empty copy. */
static int supervisor_config_copy(const char *file, const char *path, char *why)
{
	struct buf bytes = {.mem = NULL};
	FILE *f = file != NULL ? fopen(file, "re") : NULL;
	int e = file != NULL && f == NULL ? ERR_IO : 0;

	if (e == 0 && f != NULL)
		e = tree_slurp(f, &bytes);
	if (e != 0)
		str_printf(why, SUPERVISOR_CONFIG_WHY, "cannot read the file %s: %s", file,
			   strerror(errno));
	else if ((e = run_dir_write(path, buf_str(&bytes))) != 0)
		str_printf(why, SUPERVISOR_CONFIG_WHY, "cannot write the file %s: %s", path,
			   strerror(errno));
	if (f != NULL)
		fclose(f);
	buf_free(&bytes);
	return e;
}

int supervisor_config_freeze(const struct config_input *in, const char *path,
			     struct supervisor_config **out, char *why)
{
	struct supervisor_config *now;
	int e = supervisor_config_load(in, &now, why);

	if (e != 0)
		return e;
	e = supervisor_config_copy(config_file(now->config), path, why);
	supervisor_config_free(now);
	return e != 0 ? e : supervisor_config_thaw(in, path, out, why);
}

void supervisor_config_free(struct supervisor_config *c)
{
	if (c == NULL)
		return;
	config_free(c->config);
	free(c);
}
