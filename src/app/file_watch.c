/*
 * The folders that are watched are the one of the path and, where that leads through a link, the
 * one of the file itself; whatever happens there is only a reason to look.
 */
#include "app/file_watch.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/str.h"

/* What tells one state of a file from the next; all zero: it is not there. */
struct file_state {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec written, changed;
};

struct file_watch {
	struct ev *ev;
	char path[PATH_MAX];
	void (*changed)(void *arg);
	void *arg;
	struct file_state state;
	char dirs[2][PATH_MAX];	     /* "": not watched */
	struct ev_watch *watches[2]; /* owned; NULL: not watched */
	struct ev_timer rest, look;
	uint64_t since_ms; /* of the first change that was not told; 0: there is none */
};

static void file_watch_read_state(const struct file_watch *w, struct file_state *out)
{
	struct stat st;

	memset(out, 0, sizeof *out); /* also what lies between the members */
	if (stat(w->path, &st) != 0)
		return;
	out->dev = st.st_dev;
	out->ino = st.st_ino;
	out->size = st.st_size;
	out->written = st.st_mtim;
	out->changed = st.st_ctim;
}

/* ---- the folders ---- */

static void file_watch_dir_of(const char *path, char out[PATH_MAX])
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		str_printf(out, PATH_MAX, ".");
	else
		str_printf(out, PATH_MAX, "%.*s", (int)MAX(slash - path, 1), path);
}

static void file_watch_on_event(void *arg)
{
	struct file_watch *w = arg;
	uint64_t now = ev_now_ms(w->ev), ms = FILE_WATCH_REST_MS;

	if (w->since_ms == 0)
		w->since_ms = now;
	if (now + ms > w->since_ms + FILE_WATCH_MOST_MS)
		ms = w->since_ms + FILE_WATCH_MOST_MS - MIN(now, w->since_ms + FILE_WATCH_MOST_MS);
	ev_timer_set(w->ev, &w->rest, ms);
}

static void file_watch_aim_at(struct file_watch *w, size_t i, const char *dir)
{
	if (w->watches[i] != NULL && strcmp(w->dirs[i], dir) == 0)
		return;
	ev_watch_free(w->watches[i]);
	w->watches[i] = NULL;
	str_printf(w->dirs[i], sizeof w->dirs[i], "%s", dir);
	if (dir[0] != '\0' && ev_watch_new(w->ev, dir, file_watch_on_event, w, &w->watches[i]) != 0)
		w->watches[i] = NULL;
}

static void file_watch_aim(struct file_watch *w)
{
	char dir[PATH_MAX], real[PATH_MAX], real_dir[PATH_MAX] = "";

	file_watch_dir_of(w->path, dir);
	if (realpath(w->path, real) != NULL)
		file_watch_dir_of(real, real_dir);
	file_watch_aim_at(w, 0, dir);
	file_watch_aim_at(w, 1, strcmp(dir, real_dir) == 0 ? "" : real_dir);
}

/* ---- looking ---- */

static void file_watch_look(struct file_watch *w)
{
	struct file_state now;
	bool blind;

	file_watch_read_state(w, &now);
	w->since_ms = 0;
	ev_timer_stop(w->ev, &w->rest);
	file_watch_aim(w);
	blind = w->watches[0] == NULL || (w->dirs[1][0] != '\0' && w->watches[1] == NULL);
	ev_timer_set(w->ev, &w->look, blind ? FILE_WATCH_BLIND_MS : FILE_WATCH_LOOK_MS);
	if (memcmp(&now, &w->state, sizeof now) == 0)
		return;
	w->state = now;
	w->changed(w->arg);
}

static void file_watch_on_time(void *arg)
{
	file_watch_look(arg);
}

int file_watch_new(struct ev *ev, const char *path, void (*changed)(void *arg), void *arg,
		   struct file_watch **out)
{
	struct file_watch *w = calloc(1, sizeof *w);

	if (w == NULL)
		return ERR_NOMEM;
	if (str_copy(w->path, sizeof w->path, str_of(path)) != 0) {
		free(w);
		return ERR_TOOBIG;
	}
	w->ev = ev;
	w->changed = changed;
	w->arg = arg;
	w->rest = w->look = (struct ev_timer){.fn = file_watch_on_time, .arg = w};
	file_watch_read_state(w, &w->state);
	file_watch_look(w);
	*out = w;
	return 0;
}

void file_watch_free(struct file_watch *w)
{
	if (w == NULL)
		return;
	ev_timer_stop(w->ev, &w->rest);
	ev_timer_stop(w->ev, &w->look);
	for (size_t i = 0; i < ARRAY_LEN(w->watches); i++)
		ev_watch_free(w->watches[i]);
	ev_free_later(w->ev, w);
}
