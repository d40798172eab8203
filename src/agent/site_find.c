/* Everything about one request that may wait for a disk, in one go. */
#include "agent/site_find.h"

#include <unistd.h>

#include "base/err.h"

void site_found_clear(struct site_found *f)
{
	if (f->file.fd >= 0)
		close(f->file.fd);
	f->file.fd = -1;
	buf_free(&f->body);
}

/* Read a small file; one that shrinks meanwhile stays open, and its sender will notice. */
static int site_find_small(struct site_found *out)
{
	size_t size = (size_t)out->file.size;
	ssize_t n;
	char *at;
	int e;

	if (out->file.size > SITE_SMALL_MAX)
		return 0;
	if (size > 0) {
		if ((e = buf_room(&out->body, size, SITE_SMALL_MAX, &at)) != 0)
			return e;
		n = pread(out->file.fd, at, size, 0);
		if (n != (ssize_t)size) {
			buf_free(&out->body);
			return 0;
		}
		buf_added(&out->body, size);
	}
	close(out->file.fd);
	out->file.fd = -1;
	return 0;
}

static int site_find_file(const struct site_tree *t, const struct site_find_opt *opt,
			  const char *path, struct site_found *out)
{
	int e = site_tree_read(t, path, &out->file);

	out->kind = SITE_FILE;
	if (e == 0 && out->file.dir)
		e = ERR_NOTFOUND; /* it has just become one, or index.html is one */
	return e == 0 && opt->small ? site_find_small(out) : e;
}

static int site_find_dir(const struct site_tree *t, const struct site_find_opt *opt,
			 struct site_found *out)
{
	char path[SITE_PATH_MAX + sizeof "/" SITE_INDEX];
	struct site_file dir;
	int e;

	out->kind = SITE_DIRECTORY;
	if (!opt->slash)
		return 0;
	str_printf(path, sizeof path, "%s%s" SITE_INDEX, opt->path,
		   opt->path[0] != '\0' ? "/" : "");
	out->index = true;
	if ((e = site_find_file(t, opt, path, out)) != ERR_NOTFOUND)
		return e;
	site_found_clear(out);
	/* a page that cannot be shown is no reason to show what it stands in front of */
	if (site_tree_is_link(t, path))
		return ERR_DENIED;
	out->index = false;
	out->kind = SITE_LISTING;
	if ((e = site_tree_read(t, opt->path, &dir)) != 0)
		return e;
	if (!dir.dir) {
		close(dir.fd);
		return ERR_NOTFOUND; /* just replaced by a file */
	}
	return site_list_write(t, opt->path, dir.fd, &out->body);
}

int site_find(const struct site_find_opt *opt, struct site_found *out)
{
	struct site_tree t;
	struct site_file f;
	int e;

	*out = (struct site_found){.file = {.fd = -1}};
	if ((e = site_tree_open(opt->root, opt->plain, &t)) != 0)
		return e == ERR_NOFILE || e == ERR_NOMEM ? e : ERR_TARGET;
	if ((e = site_tree_look(&t, opt->path, &f)) == 0) {
		if (f.dir)
			e = site_find_dir(&t, opt, out);
		else
			e = opt->slash ? ERR_NOTFOUND : site_find_file(&t, opt, opt->path, out);
	}
	site_tree_close(&t);
	if (e != 0) {
		site_found_clear(out);
		*out = (struct site_found){.file = {.fd = -1}};
	}
	return e;
}
