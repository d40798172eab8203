/*
 * A unit starts in another folder, without the variables of this terminal, and can be read by
 * everybody: so paths are made absolute, what was found by HOME is named, and a secret is refused.
 */
#include "app/karez_service_words.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "cli/cli_place.h"
#include "cli/services.h"
#include "config/again.h"

static int karez_service_words_add(struct karez_service_words *w, const char *word)
{
	if (w->n == KAREZ_SERVICE_WORDS) {
		str_printf(w->why, sizeof w->why, "there are too many options for a unit");
		return ERR_LIMIT;
	}
	if ((w->v[w->n] = str_dup(str_of(word))) == NULL)
		return ERR_NOMEM;
	w->n++;
	return 0;
}

static int karez_service_words_add_option(struct karez_service_words *w, const char *name,
					  const char *value)
{
	size_t size = strlen(name) + strlen(value) + 4;
	char *word = malloc(size);
	int e = ERR_NOMEM;

	if (word == NULL)
		return e;
	str_printf(word, size, "--%s=%s", name, value);
	e = karez_service_words_add(w, word);
	free(word);
	return e;
}

/* The same file, wherever the process is. */
static int karez_service_words_absolute(struct karez_service_words *w, const char *path,
					char out[PATH_MAX])
{
	char here[PATH_MAX] = "";
	bool whole = path[0] == '/';

	if (!whole && getcwd(here, sizeof here) == NULL) {
		str_printf(w->why, sizeof w->why, "%s: the current folder is not known", path);
		return ERR_IO;
	}
	if (strlen(path) + strlen(here) + 2 > PATH_MAX) {
		str_printf(w->why, sizeof w->why, "a path is too long");
		return ERR_TOOBIG;
	}
	str_printf(out, PATH_MAX, "%s%s%s", here, whole ? "" : "/", path);
	return 0;
}

static int karez_service_words_add_path(struct karez_service_words *w, const char *name,
					const char *path)
{
	char whole[PATH_MAX];
	int e;

	if (strcmp(path, "-") == 0) {
		str_printf(w->why, sizeof w->why,
			   "--%s cannot be standard input: a service has none", name);
		return ERR_INVAL;
	}
	if ((e = karez_service_words_absolute(w, path, whole)) != 0)
		return e;
	return karez_service_words_add_option(w, name, whole);
}

/* ---- what was given ---- */

/* Is it said by karez_service_words_add_places() already? */
static bool karez_service_words_is_place(const char *name)
{
	static const char *const names[] = {"file", "service-definitions", "config-dir"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static int karez_service_words_refuse_secret(struct karez_service_words *w, const char *name)
{
	if (strcmp(name, "token") == 0)
		str_printf(w->why, sizeof w->why,
			   "the token in KAREZ_TOKEN is not written into a unit, which everybody "
			   "can read: log in by \"karez login\", or give --token-file");
	else
		str_printf(w->why, sizeof w->why,
			   "--%s holds a password, and is not written into a unit, which everybody "
			   "can read: put it into ~/.config/karez/karez.yaml",
			   name);
	return ERR_INVAL;
}

/* See again_fn. */
static int karez_service_words_on_option(void *arg, const struct config_option *row,
					 const char *value)
{
	struct karez_service_words *w = arg;
	bool path = row->metavar != NULL &&
		    (strcmp(row->metavar, "FILE") == 0 || strcmp(row->metavar, "DIR") == 0);
	char flag[80];

	if (karez_service_words_is_place(row->name))
		return 0;
	if (row->type == CONFIG_SECRET &&
	    (strcmp(row->name, "proxy") != 0 || strchr(value, '@') != NULL))
		return karez_service_words_refuse_secret(w, row->name);
	if (row->type == CONFIG_FLAG) {
		str_printf(flag, sizeof flag, "--%s%s", strcmp(value, "yes") == 0 ? "" : "no-",
			   row->name);
		return karez_service_words_add(w, flag);
	}
	return path ? karez_service_words_add_path(w, row->name, value)
		    : karez_service_words_add_option(w, row->name, value);
}

/* ---- what would be found ---- */

/* The services file that is meant. Returns NULL after a sentence: there is none. */
static const char *karez_service_words_file(struct karez_service_words *w,
					    const struct karez_options *set,
					    char usual[SERVICES_PATH])
{
	if (set->cli.file != NULL)
		return set->cli.file;
	if (set->services_file != NULL)
		return set->services_file;
	services_default_path(&set->cli, usual);
	if (usual[0] != '\0' && access(usual, F_OK) == 0)
		return usual;
	str_printf(w->why, sizeof w->why,
		   "there is no services file, neither ~/.tunnel-services.json nor %s: name it by "
		   "--file",
		   usual[0] == '\0' ? "services.yaml" : usual);
	return NULL;
}

static int karez_service_words_add_places(struct karez_service_words *w, const struct config *c,
					  const struct karez_options *set, const char *file)
{
	char dir[MEMORY_DIR_MAX + 2], whole[PATH_MAX];
	int e = 0;

	cli_place_dir(&set->cli, dir);
	if (dir[0] == '\0') {
		str_printf(w->why, sizeof w->why, "there is no HOME: use --config-dir");
		return ERR_NOTFOUND;
	}
	if ((e = karez_service_words_absolute(w, dir, whole)) == 0 &&
	    (e = str_copy(w->dir, sizeof w->dir, str_of(whole))) != 0)
		str_printf(w->why, sizeof w->why, "the path of --config-dir is too long");
	if (e == 0 && config_file(c) != NULL)
		e = karez_service_words_add_path(w, "config", config_file(c));
	if (e == 0)
		e = karez_service_words_add_option(w, "config-dir", w->dir);
	return e != 0 ? e : karez_service_words_add_path(w, "file", file);
}

/* The server logged in to last may be another one tomorrow. */
static int karez_service_words_add_server(struct karez_service_words *w,
					  const struct karez_options *set)
{
	char why[MEMORY_WHY_MAX], recent[URL_TEXT_MAX] = "";
	struct memory *memory = NULL;
	struct ev *ev = NULL;
	int e = ev_new(&ev);

	if (e != 0)
		return e;
	if (access(w->dir, F_OK) == 0 && memory_open(ev, w->dir, &memory, why) == 0)
		memory_recent(memory, recent);
	memory_close(memory);
	ev_free(ev);
	if (recent[0] != '\0')
		return karez_service_words_add_option(w, "server", recent);
	str_printf(w->why, sizeof w->why,
		   "no server is named: log in first (karez login), or give --server");
	return ERR_NOTFOUND;
}

/* Has anybody named one? */
static bool karez_service_words_has_server(const struct karez_options *set,
					   const struct services *s)
{
	return set->cli.servers.n > 0 || set->server_host != NULL || set->server_port != 0 ||
	       s->n_servers > 0;
}

int karez_service_words(const struct config *c, const struct karez_options *set,
			struct karez_service_words *out)
{
	char usual[SERVICES_PATH], why[SERVICES_WHY] = "";
	const char *file = karez_service_words_file(out, set, usual);
	struct services s = {0};
	int e = ERR_NOTFOUND;

	if (file == NULL)
		goto out;
	if ((e = karez_service_words_add(out, "up")) != 0 ||
	    (e = karez_service_words_add(out, "--wait")) != 0 ||
	    (e = karez_service_words_add_places(out, c, set, file)) != 0)
		goto out;
	e = services_read(file, &(struct services_opt){.id = set->cli.id}, &s, why);
	if (e != 0) {
		str_printf(out->why, sizeof out->why, "%s", why);
		goto out;
	}
	if (!karez_service_words_has_server(set, &s) &&
	    (e = karez_service_words_add_server(out, set)) != 0)
		goto out;
	e = again_each(c, karez_options_up(), karez_service_words_on_option, out);
out:
	services_free(&s);
	if (e == ERR_NOMEM)
		str_printf(out->why, sizeof out->why, "out of memory");
	return e;
}

void karez_service_words_free(struct karez_service_words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->v[i]);
	w->n = 0;
}
