/*
 * The unit is a file of the person's own system: it is shown before it is asked for, written only
 * over one that was written by karez, and removed the same way.
 */
#include "app/karez_service.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/karez_service_words.h"
#include "app/karez_unit.h"
#include "app/state_dir.h"
#include "app/systemctl.h"
#include "base/err.h"
#include "config/tree.h"

struct karez_service {
	const struct config *c;
	const struct karez_options *set;
	bool user;
	char name[80];	     /* "karez.service" */
	char dir[PATH_MAX];  /* of units */
	char path[PATH_MAX]; /* of this one */
	struct buf now;	     /* owned: what stands there; empty if nothing does */
	bool there;
};

static int karez_service_problem(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Say what is wrong. Returns 1, an exit code. */
static int karez_service_problem(const char *fmt, ...)
{
	va_list ap;

	fputs("karez: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return 1;
}

/* ---- where it is ---- */

static int karez_service_place_dir(struct karez_service *s)
{
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (!s->user)
		str_printf(s->dir, sizeof s->dir, "/etc/systemd/system");
	else if (xdg != NULL && xdg[0] == '/')
		str_printf(s->dir, sizeof s->dir, "%s/systemd/user", xdg);
	else if (home != NULL && home[0] == '/')
		str_printf(s->dir, sizeof s->dir, "%s/.config/systemd/user", home);
	else
		return karez_service_problem("there is no HOME, so a user's unit has no place");
	return 0;
}

/* What stands there now. Returns 0 or an exit code. */
static int karez_service_look(struct karez_service *s)
{
	FILE *f = fopen(s->path, "re");
	int e;

	if (f == NULL && errno == ENOENT)
		return 0;
	if (f == NULL)
		return karez_service_problem("%s: %s", s->path, strerror(errno));
	s->there = true;
	e = tree_slurp(f, &s->now);
	fclose(f);
	return e == 0 ? 0 : karez_service_problem("%s: %s", s->path, err_text(e));
}

/* A file of somebody else's is not touched. Returns 0 or an exit code. */
static int karez_service_check_ours(const struct karez_service *s)
{
	if (!s->there || karez_unit_is_ours(buf_str(&s->now)))
		return 0;
	return karez_service_problem(
		"%s was not written by karez and is left as it is: choose another "
		"--name, or remove it yourself",
		s->path);
}

static int karez_service_need_root(const struct karez_service *s)
{
	if (s->user || geteuid() == 0)
		return 0;
	return karez_service_problem(
		"a service of the system is made by root: use sudo, or --user");
}

/* ---- install ---- */

/* The program as it will be there tomorrow. */
static int karez_service_program(char out[PATH_MAX])
{
	ssize_t len = readlink("/proc/self/exe", out, PATH_MAX - 1);

	if (len <= 0)
		return karez_service_problem("where this program lies is not known: %s",
					     strerror(errno));
	out[len] = '\0';
	if (access(out, X_OK) != 0)
		return karez_service_problem(
			"this program has been replaced while it ran: try again");
	return 0;
}

/* A service of the system has a /tmp of its own, unless something in everybody's is named. */
static bool karez_service_needs_tmp(const struct karez_service_words *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (strstr(w->v[i], "=/tmp/") != NULL || strstr(w->v[i], "=/var/tmp/") != NULL)
			return true;
	return false;
}

/* The unit that is wanted. Returns 0 or an exit code. */
static int karez_service_compose(struct karez_service *s, struct karez_service_words *w,
				 struct buf *out)
{
	struct karez_unit unit = {.user = s->user};
	char program[PATH_MAX];
	int e;

	if (karez_service_program(program) != 0)
		return 1;
	if (karez_service_words(s->c, s->set, w) != 0) {
		karez_service_problem("%s", w->why);
		return 2;
	}
	unit.program = program;
	unit.words = w->v;
	unit.n_words = w->n;
	unit.dir = w->dir;
	unit.tmp = karez_service_needs_tmp(w);
	if ((e = karez_unit_write(&unit, out)) == 0)
		return 0;
	if (e != ERR_INVAL)
		return karez_service_problem("the unit cannot be made: %s", err_text(e));
	karez_service_problem(
		"a path or option has control characters, or is no UTF-8: a unit cannot "
		"hold it");
	return 2;
}

static void karez_service_print(struct str unit)
{
	fwrite(unit.p, 1, unit.len, stdout);
}

/* All of it or nothing. Returns 0 or an exit code. */
static int karez_service_write(struct karez_service *s, struct str unit)
{
	char fresh[PATH_MAX + 8], dir[PATH_MAX + 1];
	FILE *f;
	bool ok;

	str_printf(dir, sizeof dir, "%s/", s->dir);
	state_dir_make_parents(dir);
	str_printf(fresh, sizeof fresh, "%s.new", s->path);
	if ((f = fopen(fresh, "we")) == NULL)
		return karez_service_problem("%s: %s", fresh, strerror(errno));
	ok = fwrite(unit.p, 1, unit.len, f) == unit.len && fchmod(fileno(f), 0644) == 0 &&
	     fflush(f) == 0 && fsync(fileno(f)) == 0;
	ok = fclose(f) == 0 && ok && rename(fresh, s->path) == 0;
	if (ok)
		return 0;
	karez_service_problem("%s: %s", s->path, strerror(errno));
	unlink(fresh);
	return 1;
}

/* Have systemctl do something. Returns 0 or an exit code. */
static int karez_service_do(const struct karez_service *s, const char *const *words)
{
	int code = systemctl_run(&(struct systemctl){.user = s->user}, words);

	if (code == 0)
		return 0;
	return karez_service_problem("systemctl%s %s did not work; \"journalctl %s %s\" tells more",
				     s->user ? " --user" : "", words[0],
				     s->user ? "--user-unit" : "--unit", s->name);
}

static int karez_service_begin(const struct karez_service *s, bool again)
{
	const char *const reload[] = {"daemon-reload", NULL};
	const char *const enable[] = {"enable", "--now", s->name, NULL};
	const char *const restart[] = {"restart", s->name, NULL};

	if (karez_service_do(s, reload) != 0 || karez_service_do(s, enable) != 0)
		return 1;
	return again ? karez_service_do(s, restart) : 0;
}

/* The option that names the services file in a unit of ours, as it stands there; a name that needs
 * quotes is left to the person, whose shell has other ones. */
static struct str karez_service_file(struct str unit)
{
	struct str line;

	while (str_next(&unit, '\n', &line)) {
		line = str_trim(line);
		if (!str_starts(line, STR("--file=")))
			continue;
		line.len = str_find(line, ' ');
		return line;
	}
	return STR("--file FILE");
}

static void karez_service_hint(struct str unit)
{
	struct str file = karez_service_file(unit);

	printf("\"karez status " STR_FMT "\" tells how its services are\n", STR_ARG(file));
}

static void karez_service_tell(const struct karez_service *s, struct str unit)
{
	printf("%s is installed and runs\n", s->name);
	karez_service_hint(unit);
	if (s->user)
		printf("It ends when you log out, unless you say once: loginctl enable-linger\n");
}

static int karez_service_put(struct karez_service *s, const struct karez_service_words *w,
			     struct str unit)
{
	bool again = s->there && !str_eq(buf_str(&s->now), unit);
	char dir[sizeof w->dir];
	int code = 0;

	str_printf(dir, sizeof dir, "%s", w->dir);
	state_dir_make(dir);
	if (!s->there || again)
		code = karez_service_write(s, unit);
	if (code != 0)
		return code;
	printf("%s: %s\n", s->path, again ? "changed" : s->there ? "as it was" : "written");
	fflush(stdout);
	if ((code = karez_service_begin(s, again)) == 0)
		karez_service_tell(s, unit);
	return code;
}

static int karez_service_install(struct karez_service *s)
{
	struct karez_service_words w = {0};
	struct buf unit = {0};
	int code;

	if (!s->set->print && (code = karez_service_need_root(s)) != 0)
		return code;
	if ((code = karez_service_compose(s, &w, &unit)) != 0)
		goto out;
	if (s->set->print) {
		karez_service_print(buf_str(&unit));
	} else if (!systemctl_answers(s->user)) {
		code = karez_service_problem("there is no systemd here that answers%s; nothing was "
					     "written. The unit would be:",
					     s->user ? " (systemctl --user)" : "");
		karez_service_print(buf_str(&unit));
	} else if ((code = karez_service_look(s)) == 0 &&
		   (code = karez_service_check_ours(s)) == 0) {
		code = karez_service_put(s, &w, buf_str(&unit));
	}
out:
	buf_free(&unit);
	karez_service_words_free(&w);
	return code;
}

/* ---- the others ---- */

static int karez_service_uninstall(struct karez_service *s)
{
	const char *const disable[] = {"disable", "--now", s->name, NULL};
	const char *const reload[] = {"daemon-reload", NULL};
	bool answers;

	if (karez_service_need_root(s) != 0 || karez_service_look(s) != 0)
		return 1;
	if (!s->there)
		return karez_service_problem("there is no service %s: no file %s", s->name,
					     s->path);
	if (karez_service_check_ours(s) != 0)
		return 1;
	answers = systemctl_answers(s->user);
	if (answers && karez_service_do(s, disable) != 0)
		return 1;
	if (unlink(s->path) != 0)
		return karez_service_problem("%s: %s", s->path, strerror(errno));
	printf("%s: removed\n", s->path);
	fflush(stdout);
	return answers ? karez_service_do(s, reload) : 0;
}

static int karez_service_status(struct karez_service *s)
{
	const char *const words[] = {"status", "--no-pager", s->name, NULL};
	int code;

	if (karez_service_look(s) != 0)
		return 1;
	if (!s->there)
		return karez_service_problem("there is no service %s: no file %s; \"karez service "
					     "install\" makes one",
					     s->name, s->path);
	code = systemctl_run(&(struct systemctl){.user = s->user}, words);
	if (code == 127)
		return karez_service_problem("there is no systemctl here");
	karez_service_hint(buf_str(&s->now));
	return code == 0 ? 0 : 1;
}

int karez_service_run(const struct config *c, const struct karez_options *set)
{
	struct karez_service s = {.c = c, .set = set};
	enum karez_command command = karez_options_command(c);
	int code;

	s.user = set->user || (!set->system && geteuid() != 0);
	str_printf(s.name, sizeof s.name, "%s.service", set->unit);
	if ((code = karez_service_place_dir(&s)) != 0)
		return code;
	if (str_printf(s.path, sizeof s.path, "%s/%s", s.dir, s.name) >= sizeof s.path - 1)
		return karez_service_problem("%s: %s", s.dir, err_text(ERR_TOOBIG));
	if (command == KAREZ_SERVICE_INSTALL)
		code = karez_service_install(&s);
	else if (command == KAREZ_SERVICE_UNINSTALL)
		code = karez_service_uninstall(&s);
	else
		code = karez_service_status(&s);
	buf_free(&s.now);
	return code;
}
