/* A list that is searched from its front is quick enough for what stands in one file. */
#include "app/password_book.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/err.h"
#include "base/list.h"
#include "core/password.h"

struct password_page {
	struct list link;
	bool asked; /* since the last turn */
	char hash[RIGHTS_HASH_TEXT];
	size_t len;
	char password[PASSWORD_MAX];
};

struct password_book {
	struct list pages; /* of password_page */
	size_t n;
};

int password_book_new(struct password_book **out)
{
	struct password_book *b = calloc(1, sizeof *b);

	if (b == NULL)
		return ERR_NOMEM;
	list_init(&b->pages);
	*out = b;
	return 0;
}

static void password_page_drop(struct password_book *b, struct password_page *p)
{
	list_del(&p->link);
	explicit_bzero(p, sizeof *p);
	free(p);
	b->n--;
}

void password_book_free(struct password_book *b)
{
	if (b == NULL)
		return;
	LIST_FOR_EACH_SAFE (it, &b->pages)
		password_page_drop(b, CONTAINER_OF(it, struct password_page, link));
	free(b);
}

void password_book_turn(struct password_book *b)
{
	LIST_FOR_EACH_SAFE (it, &b->pages) {
		struct password_page *p = CONTAINER_OF(it, struct password_page, link);

		if (!p->asked)
			password_page_drop(b, p);
		else
			p->asked = false;
	}
}

static struct password_page *password_book_find(const struct password_book *b, struct str password)
{
	LIST_FOR_EACH (it, &b->pages) {
		struct password_page *p = CONTAINER_OF(it, struct password_page, link);

		if (str_eq((struct str){p->password, p->len}, password))
			return p;
	}
	return NULL;
}

static void password_book_keep(struct password_book *b, struct str password, const char *hash)
{
	struct password_page *p;

	if (b->n >= PASSWORD_BOOK_MAX || (p = calloc(1, sizeof *p)) == NULL)
		return;
	p->asked = true;
	p->len = password.len;
	memcpy(p->password, password.p, password.len);
	str_printf(p->hash, sizeof p->hash, "%s", hash);
	list_push(&b->pages, &p->link);
	b->n++;
}

int password_book_hash(void *arg, struct str password, char *out, size_t cap)
{
	struct password_book *b = arg;
	struct password_page *p = password_book_find(b, password);
	uint8_t salt[PASSWORD_SALT_LEN];
	char hash[RIGHTS_HASH_TEXT];
	int e;

	if (p != NULL) {
		p->asked = true;
		return str_copy(out, cap, str_of(p->hash));
	}
	/* not the loop's: that is for the loop's thread only */
	if (getentropy(salt, sizeof salt) != 0)
		return ERR_IO;
	if ((e = password_make(password, salt, hash)) != 0)
		return e;
	password_book_keep(b, password, hash);
	return str_copy(out, cap, str_of(hash));
}
