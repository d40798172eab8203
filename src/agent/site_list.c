/* However many files there are, and whatever they are called: bounded, sorted and escaped. */
#include "agent/site_list.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/site_page.h"
#include "base/err.h"
#include "proto/time_text.h"
#include "proto/url_path.h"

/* Names that are read, at most, those that are left out among them. */
#define SITE_LIST_READ (8 * SITE_LIST_MAX)

struct site_entry {
	char *name; /* owned */
	struct site_file file;
};

struct site_list {
	const struct site_tree *tree; /* borrowed for the call, as all here */
	const char *path;
	struct site_entry *entries; /* owned: [n], room for SITE_LIST_MAX */
	size_t n;
	bool more; /* there is something that is not shown */
};

/* ---- reading ---- */

/* Returns 0, also when the entry is left out. */
static int site_list_add(struct site_list *l, const char *name)
{
	char path[SITE_PATH_MAX + NAME_MAX + 2];
	struct site_entry *entry = &l->entries[l->n];
	int e;

	str_printf(path, sizeof path, "%s%s%s", l->path, l->path[0] != '\0' ? "/" : "", name);
	e = site_tree_look(l->tree, path, &entry->file);
	if (e == ERR_NOMEM || e == ERR_NOFILE)
		return e;
	if (e != 0)
		return 0;
	if ((entry->name = str_dup(str_of(name))) == NULL)
		return ERR_NOMEM;
	l->n++;
	return 0;
}

static int site_list_read(struct site_list *l, int fd)
{
	DIR *dir = fdopendir(fd);
	const struct dirent *d;
	int e = 0;

	if (dir == NULL) {
		e = err_from_errno(errno);
		close(fd);
		return e;
	}
	errno = 0;
	for (size_t i = 0; e == 0 && (d = readdir(dir)) != NULL; i++) {
		l->more = l->n == SITE_LIST_MAX || i == SITE_LIST_READ;
		if (l->more)
			break;
		if (d->d_name[0] != '.')
			e = site_list_add(l, d->d_name);
		errno = 0;
	}
	if (e == 0 && errno != 0)
		e = ERR_IO;
	closedir(dir);
	return e;
}

static int site_list_compare(const void *a, const void *b)
{
	const struct site_entry *x = a, *y = b;

	if (x->file.dir != y->file.dir)
		return x->file.dir ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* ---- writing ---- */

static void site_list_size(uint64_t n, char out[16])
{
	static const char units[] = "KMGTPE";
	uint64_t tenths = n * 10;
	size_t unit = 0;

	if (n < 1024) {
		str_printf(out, 16, "%u B", (unsigned)n);
		return;
	}
	if (n > UINT64_MAX / 10) {
		str_printf(out, 16, "> 1 EiB");
		return;
	}
	for (tenths /= 1024; tenths >= 10240; tenths /= 1024)
		unit++;
	str_printf(out, 16, "%u.%u %ciB", (unsigned)tenths / 10, (unsigned)tenths % 10,
		   units[unit]);
}

/* One row: complete, or not there. */
static int site_list_row(struct buf *b, const struct site_entry *entry)
{
	const char *slash = entry->file.dir ? "/" : "";
	char date[TIME_TEXT], size[16] = "";
	size_t before = b->len;
	int e;

	time_text_format(entry->file.modified_ns / 1000000, date);
	date[10] = ' ';
	if (!entry->file.dir)
		site_list_size(entry->file.size, size);
	/* "./" in front: a name may look like a scheme */
	e = buf_printf(b, SITE_PAGE_MAX, "<tr><td><a href=\"./");
	if (e == 0)
		e = url_path_write(b, SITE_PAGE_MAX, str_of(entry->name));
	if (e == 0)
		e = buf_printf(b, SITE_PAGE_MAX, "%s\"><bdi>", slash);
	if (e == 0)
		e = site_page_text(b, SITE_PAGE_MAX, str_of(entry->name));
	if (e == 0)
		e = buf_printf(b, SITE_PAGE_MAX,
			       "%s</bdi></a><td class=n>%s<td class=\"n w\">%.16s\n", slash, size,
			       date);
	if (e != 0)
		b->len = before;
	return e;
}

/* "/", "a", "b" with a link each but the last. */
static int site_list_heading(const char *path, struct buf *b)
{
	struct str rest = str_of(path), name;
	int e = buf_printf(b, SITE_PAGE_MAX, path[0] == '\0' ? "/" : "<a href=\"/\">/</a>");

	while (e == 0 && path[0] != '\0' && str_next(&rest, '/', &name)) {
		bool last = rest.p == NULL;

		if (!last) {
			struct str so_far = {path, (size_t)(name.p + name.len - path)};

			e = buf_printf(b, SITE_PAGE_MAX, " <a href=\"/");
			if (e == 0)
				e = url_path_write(b, SITE_PAGE_MAX, so_far);
			if (e == 0)
				e = buf_printf(b, SITE_PAGE_MAX, "/\">");
		} else {
			e = buf_printf(b, SITE_PAGE_MAX, " ");
		}
		if (e == 0)
			e = buf_printf(b, SITE_PAGE_MAX, "<bdi>");
		if (e == 0)
			e = site_page_text(b, SITE_PAGE_MAX, name);
		if (e == 0)
			e = buf_printf(b, SITE_PAGE_MAX, "</bdi>%s", last ? "" : "</a> /");
	}
	return e;
}

static int site_list_page(struct site_list *l, struct buf *b)
{
	static const char *const columns[] = {"Name", "Size", "Changed (UTC)"};
	char title[SITE_PATH_MAX + 16], note[64] = "";
	struct buf heading = {0};
	size_t shown = 0;
	int e;

	str_printf(title, sizeof title, "Index of /%s", l->path);
	if ((e = site_list_heading(l->path, &heading)) == 0)
		e = site_page_begin(b, str_of(title), buf_str(&heading), columns);
	if (e == 0 && l->path[0] != '\0')
		e = buf_printf(b, SITE_PAGE_MAX,
			       "<tr><td><a href=\"../\">..</a><td class=n><td class=\"n w\">\n");
	while (e == 0 && shown < l->n && (e = site_list_row(b, &l->entries[shown])) == 0)
		shown++;
	if (e == ERR_TOOBIG) { /* what fits is shown */
		l->more = true;
		e = 0;
	}
	if (l->more)
		str_printf(note, sizeof note, "There is more here; %zu entries are shown.", shown);
	else if (shown == 0)
		str_printf(note, sizeof note, "There is nothing here.");
	if (e == 0)
		e = site_page_end(b, note);
	buf_free(&heading);
	return e;
}

int site_list_write(const struct site_tree *t, const char *path, int fd, struct buf *out)
{
	struct site_list l = {.tree = t, .path = path};
	int e;

	if ((l.entries = calloc(SITE_LIST_MAX, sizeof *l.entries)) == NULL) {
		close(fd);
		return ERR_NOMEM;
	}
	if ((e = site_list_read(&l, fd)) == 0) {
		qsort(l.entries, l.n, sizeof *l.entries, site_list_compare);
		e = site_list_page(&l, out);
	}
	for (size_t i = 0; i < l.n; i++)
		free(l.entries[i].name);
	free(l.entries);
	return e;
}
