/*
 * Why this is not libssh's ssh_options_parse_config(): that one keeps to itself what it has read
 * (StrictHostKeyChecking), has no word for half of what decides whether a host is trusted and which
 * keys are shown to it (accept-new, IdentitiesOnly, several UserKnownHostsFile, HostKeyAlias), lets
 * a file overrule the command line, and compares later Host lines with an earlier HostName. And
 * "-o Name=value" needs the same table.
 */
#include "session/secsh_config.h"

#include <errno.h>
#include <glob.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/num.h"

enum kind { WORD, WORDS, REST, FILES, COUNT, SECONDS, PORT, YESNO, STRICT, VOID, CANNOT, NEVER };

static const struct {
	const char *name;
	enum kind kind;
} options[SECSH_N_OPTIONS] = {
#define SECSH_OPTION(id, name, kind) {name, kind},
#include "session/secsh_option.def"
#undef SECSH_OPTION
};

/* Names of earlier times. */
static const struct {
	const char *name;
	enum secsh_option is;
} aliases[] = {
	{"ChallengeResponseAuthentication", SECSH_O_BY_QUESTIONS},
	{"SkeyAuthentication", SECSH_O_BY_QUESTIONS},
	{"PubkeyAcceptedKeyTypes", SECSH_O_PUBKEYS},
};

/* One run through the command line and the files. */
struct reader {
	struct secsh_config *c;
	const struct secsh_agent_where *where;
	const struct secsh_agent_asks *asks;
	char *why;
	const char *file; /* NULL: the command line */
	unsigned line, depth;
	bool is_on;	/* what is read is meant for this host */
	bool is_ours;	/* a file of the person: only it, and root, may write it */
	bool is_system; /* names of files are relative to /etc/ssh */
};

/* ---- words ---- */

static struct str skip_blanks(struct str s)
{
	while (s.len > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.len--;
	}
	return s;
}

bool secsh_config_word(struct str *rest, struct str *word)
{
	struct str s = skip_blanks(*rest);
	size_t n = 0, skip = 0;

	if (s.len == 0 || s.p[0] == '#')
		return false;
	if (s.p[0] == '"') {
		s.p++;
		s.len--;
		n = str_find(s, '"');
		skip = n < s.len;
	} else {
		while (n < s.len && s.p[n] != ' ' && s.p[n] != '\t')
			n++;
	}
	*word = (struct str){s.p, n};
	*rest = (struct str){s.p + n + skip, s.len - n - skip};
	return true;
}

bool secsh_config_like(struct str text, struct str pattern)
{
	size_t i = 0, k = 0, star = SIZE_MAX, from = 0;

	while (i < text.len) {
		if (k < pattern.len && pattern.p[k] == '*') {
			star = k++;
			from = i;
		} else if (k < pattern.len &&
			   (pattern.p[k] == '?' ||
			    ascii_lower(pattern.p[k]) == ascii_lower(text.p[i]))) {
			i++;
			k++;
		} else if (star != SIZE_MAX) { /* the last star takes one letter more */
			k = star + 1;
			i = ++from;
		} else {
			return false;
		}
	}
	while (k < pattern.len && pattern.p[k] == '*')
		k++;
	return k == pattern.len;
}

/* One pattern of a list: a "!" that fits decides against, whatever else fits. */
static void judge(struct str text, struct str pattern, int *verdict)
{
	bool negated = pattern.len > 0 && pattern.p[0] == '!';

	if (negated)
		pattern = (struct str){pattern.p + 1, pattern.len - 1};
	if (secsh_config_like(text, pattern))
		*verdict = negated || *verdict < 0 ? -1 : 1;
}

static bool like_any(const char *text, struct str list)
{
	struct str pattern;
	int verdict = 0;

	while (str_next(&list, ',', &pattern))
		judge(str_of(text), pattern, &verdict);
	return verdict > 0;
}

/* ---- values ---- */

static int fail(const struct reader *r, const char *what, struct str value)
{
	if (r->file == NULL)
		str_printf(r->why, SECSH_WHY_TEXT, "-o " STR_FMT ": %s", STR_ARG(value), what);
	else
		str_printf(r->why, SECSH_WHY_TEXT, "%s line %u: " STR_FMT ": %s", r->file, r->line,
			   STR_ARG(value), what);
	return ERR_INVAL;
}

static bool is_one_of(struct str word, const char *const *list)
{
	for (; *list != NULL; list++)
		if (str_eq_nocase(word, str_of(*list)))
			return true;
	return false;
}

/* NULL, or what is wrong with it. */
static const char *value_wrong(enum kind kind, struct str word)
{
	static const char *const yes_no[] = {"yes", "no", "true", "false", NULL};
	static const char *const strict[] = {"yes", "no", "off", "ask", "accept-new", NULL};
	uint64_t n;

	switch (kind) {
	case YESNO: return is_one_of(word, yes_no) ? NULL : "wants yes or no";
	case STRICT:
		return is_one_of(word, strict) ? NULL : "wants ask, yes, no, off, or accept-new";
	case PORT: return num_parse(word, 65535, &n) == 0 && n > 0 ? NULL : "wants 1-65535";
	case COUNT: return num_parse(word, INT32_MAX, &n) == 0 ? NULL : "wants a number";
	case SECONDS:
		if (str_eq_nocase(word, STR("none")) || num_parse_duration(word, &n) == 0)
			return NULL;
		return "wants a time, as 30, 30s or 2m";
	default: return word.len > 0 ? NULL : "wants a value";
	}
}

static int keep(const struct reader *r, enum secsh_option o, struct str value)
{
	struct secsh_config *c = r->c;

	if (options[o].kind == FILES) {
		if (c->n_files == SECSH_IDENTITIES_MAX)
			return fail(r, "too many of them", str_of(options[o].name));
		if ((c->files[c->n_files] = str_dup(value)) == NULL)
			return ERR_NOMEM;
		c->n_files++;
		return 0;
	}
	if (c->values[o] != NULL)
		return 0;
	return (c->values[o] = str_dup(value)) == NULL ? ERR_NOMEM : 0;
}

static void say_cannot(const struct reader *r, const char *what)
{
	char text[SECSH_WHY_TEXT];

	str_printf(text, sizeof text, "%s line %u: %s is not done here and has no effect", r->file,
		   r->line, what);
	r->asks->say(r->asks->arg, text);
}

static int set(const struct reader *r, enum secsh_option o, struct str rest)
{
	enum kind kind = options[o].kind;
	struct str value = str_trim(rest), word = {NULL, 0}, more;
	const char *wrong;

	if (kind == VOID)
		return 0;
	if (r->is_on && (kind == NEVER || (kind == CANNOT && r->file == NULL)))
		return fail(r, "is not done here", str_of(options[o].name));
	if (kind == CANNOT || kind == NEVER) {
		if (r->is_on)
			say_cannot(r, options[o].name);
		return 0;
	}
	if (kind != REST && kind != WORDS) {
		if (secsh_config_word(&rest, &word) && secsh_config_word(&rest, &more))
			return fail(r, "wants one value", str_of(options[o].name));
		value = word;
	}
	if ((wrong = value_wrong(kind, value)) != NULL)
		return fail(r, wrong, str_of(options[o].name));
	return r->is_on ? keep(r, o, value) : 0;
}

static bool option_find(struct str name, enum secsh_option *o)
{
	for (int i = 0; i < SECSH_N_OPTIONS; i++)
		if (str_eq_nocase(name, str_of(options[i].name))) {
			*o = (enum secsh_option)i;
			return true;
		}
	for (size_t i = 0; i < ARRAY_LEN(aliases); i++)
		if (str_eq_nocase(name, str_of(aliases[i].name))) {
			*o = aliases[i].is;
			return true;
		}
	return false;
}

/* ---- for whom ---- */

static const char *host_now(const struct reader *r)
{
	return secsh_config_text(r->c, SECSH_O_HOST_NAME, r->where->host);
}

static const char *user_now(const struct reader *r)
{
	return r->where->user != NULL ? r->where->user
				      : secsh_config_text(r->c, SECSH_O_USER, r->c->login);
}

static void read_host(struct reader *r, struct str rest)
{
	struct str pattern;
	int verdict = 0;

	while (secsh_config_word(&rest, &pattern))
		judge(str_of(r->where->host), pattern, &verdict);
	r->is_on = verdict > 0;
}

/* One condition of a Match line. *r->is_on stays as it is if the condition holds. */
static int read_condition(struct reader *r, struct str what, struct str *rest)
{
	bool negated = what.len > 0 && what.p[0] == '!', holds = false;
	struct str arg = {NULL, 0};

	if (negated)
		what = (struct str){what.p + 1, what.len - 1};
	if (str_eq_nocase(what, STR("all"))) {
		holds = true;
	} else if (str_eq_nocase(what, STR("canonical")) || str_eq_nocase(what, STR("final"))) {
		holds = false; /* nothing is read a second time */
	} else if (!secsh_config_word(rest, &arg)) {
		return fail(r, "is no condition of Match, or lacks its value", what);
	} else if (str_eq_nocase(what, STR("host"))) {
		holds = like_any(host_now(r), arg);
	} else if (str_eq_nocase(what, STR("originalhost"))) {
		holds = like_any(r->where->host, arg);
	} else if (str_eq_nocase(what, STR("user"))) {
		holds = like_any(user_now(r), arg);
	} else if (str_eq_nocase(what, STR("localuser"))) {
		holds = like_any(r->c->login, arg);
	} else if (str_eq_nocase(what, STR("exec"))) {
		if (r->is_on)
			say_cannot(r, "\"Match exec\"");
		negated = false;
	} else {
		return fail(r, "is no condition of Match", what);
	}
	r->is_on = r->is_on && holds != negated;
	return 0;
}

static int read_match(struct reader *r, struct str rest)
{
	struct str what;
	int n = 0, e;

	r->is_on = true;
	for (; secsh_config_word(&rest, &what); n++)
		if ((e = read_condition(r, what, &rest)) != 0)
			return e;
	return n > 0 ? 0 : fail(r, "wants a condition", STR("Match"));
}

/* ---- files ---- */

static int read_file(struct reader *r, const char *path, bool must);

/* The name of an included file in full: a pattern for glob(). */
static int include_path(const struct reader *r, struct str name, char *out, size_t cap)
{
	int n;

	if (name.len > 0 && name.p[0] == '/')
		n = snprintf(out, cap, STR_FMT, STR_ARG(name));
	else if (str_starts(name, STR("~/")))
		n = snprintf(out, cap, "%s" STR_FMT, r->c->home, (int)name.len - 1, name.p + 1);
	else if (r->is_system)
		n = snprintf(out, cap, "/etc/ssh/" STR_FMT, STR_ARG(name));
	else
		n = snprintf(out, cap, "%s/.ssh/" STR_FMT, r->c->home, STR_ARG(name));
	return n > 0 && (size_t)n < cap ? 0 : fail(r, "too long", name);
}

static int read_include(struct reader *r, struct str rest)
{
	char pattern[SECSH_LINE_MAX];
	struct reader inner = *r;
	struct str name;
	glob_t found;
	int e = 0;

	if (!r->is_on)
		return 0;
	if (++inner.depth > SECSH_INCLUDES_MAX)
		return fail(r, "too many files include each other", STR("Include"));
	while (e == 0 && secsh_config_word(&rest, &name)) {
		if ((e = include_path(r, name, pattern, sizeof pattern)) != 0)
			return e;
		if (glob(pattern, 0, NULL, &found) != 0)
			continue;
		for (size_t i = 0; e == 0 && i < found.gl_pathc; i++) {
			inner.is_on = true;
			e = read_file(&inner, found.gl_pathv[i], false);
		}
		globfree(&found);
	}
	return e;
}

/* "Name value", "Name=value", "Name = value". */
static int read_line(struct reader *r, struct str line)
{
	struct str rest = str_trim(line), name;
	enum secsh_option o;
	size_t n = 0;

	if (rest.len == 0 || rest.p[0] == '#')
		return 0;
	while (n < rest.len && rest.p[n] != ' ' && rest.p[n] != '\t' && rest.p[n] != '=')
		n++;
	name = (struct str){rest.p, n};
	rest = skip_blanks((struct str){rest.p + n, rest.len - n});
	if (rest.len > 0 && rest.p[0] == '=')
		rest = skip_blanks((struct str){rest.p + 1, rest.len - 1});
	if (r->file != NULL && str_eq_nocase(name, STR("Host"))) {
		read_host(r, rest);
		return 0;
	}
	if (r->file != NULL && str_eq_nocase(name, STR("Match")))
		return read_match(r, rest);
	if (r->file != NULL && str_eq_nocase(name, STR("Include")))
		return read_include(r, rest);
	if (option_find(name, &o))
		return set(r, o, rest);
	/* a file may be for a newer ssh, or another system's */
	return r->file != NULL ? 0 : fail(r, "there is no such option", name);
}

static int read_lines(struct reader *r, FILE *f)
{
	char line[SECSH_LINE_MAX];
	size_t len;
	int e = 0;

	while (e == 0 && fgets(line, sizeof line, f) != NULL) {
		r->line++;
		len = strlen(line);
		if (len > 0 && line[len - 1] == '\n')
			line[--len] = '\0';
		else if (!feof(f))
			return fail(r, "the line is too long", STR("Line"));
		if (len > 0 && line[len - 1] == '\r')
			len--;
		e = read_line(r, (struct str){line, len});
	}
	return e;
}

static int read_file(struct reader *r, const char *path, bool must)
{
	FILE *f = fopen(path, "re");
	struct stat st;
	int e;

	if (f == NULL) {
		if (!must && (errno == ENOENT || errno == ENOTDIR || errno == EACCES))
			return 0;
		str_printf(r->why, SECSH_WHY_TEXT, "%s: %s", path, strerror(errno));
		return ERR_IO;
	}
	r->file = path;
	r->line = 0;
	if (fstat(fileno(f), &st) != 0 || S_ISDIR(st.st_mode)) {
		str_printf(r->why, SECSH_WHY_TEXT, "%s: not a file", path);
		e = ERR_IO;
	} else if (r->is_ours &&
		   ((st.st_uid != 0 && st.st_uid != getuid()) || (st.st_mode & 022) != 0)) {
		str_printf(r->why, SECSH_WHY_TEXT,
			   "%s: others may write it; \"chmod 600\" takes that away", path);
		e = ERR_INVAL;
	} else {
		e = read_lines(r, f);
	}
	fclose(f);
	return e;
}

static int read_files(struct reader *r)
{
	const char *config = r->where->config;
	char path[SECSH_LINE_MAX];
	int e;

	if (config != NULL && strcmp(config, "none") == 0)
		return 0;
	r->is_on = true;
	if (config != NULL)
		return read_file(r, config, true);
	str_printf(path, sizeof path, "%s/.ssh/config", r->c->home);
	r->is_ours = true;
	if ((e = read_file(r, path, false)) != 0)
		return e;
	r->is_ours = false;
	r->is_on = r->is_system = true;
	return read_file(r, "/etc/ssh/ssh_config", false);
}

/* ---- the whole ---- */

/* Who runs us, and where that person's files are. */
static int read_person(struct secsh_config *c, char why[SECSH_WHY_TEXT])
{
	const struct passwd *pw = getpwuid(geteuid());
	const char *home = getenv("HOME"), *login = pw != NULL ? pw->pw_name : getenv("LOGNAME");

	if (home == NULL || home[0] != '/')
		home = pw != NULL ? pw->pw_dir : "/";
	if (login == NULL || login[0] == '\0') {
		str_printf(why, SECSH_WHY_TEXT, "user number %u has no name: say it before an @",
			   (unsigned)geteuid());
		return ERR_INVAL;
	}
	c->home = str_dup(str_of(home));
	c->login = str_dup(str_of(login));
	return c->home == NULL || c->login == NULL ? ERR_NOMEM : 0;
}

int secsh_config_read(struct secsh_config *c, const struct secsh_agent_where *where,
		      const struct secsh_agent_asks *asks, char why[SECSH_WHY_TEXT])
{
	struct reader r = {.c = c, .where = where, .asks = asks, .why = why, .is_on = true};
	int e = read_person(c, why);

	for (size_t i = 0; e == 0 && i < where->n_identities; i++)
		e = keep(&r, SECSH_O_IDENTITY_FILE, str_of(where->identities[i]));
	for (size_t i = 0; e == 0 && i < where->n_options; i++)
		e = read_line(&r, str_of(where->options[i]));
	if (e == 0)
		e = read_files(&r);
	if (e == ERR_NOMEM)
		str_printf(why, SECSH_WHY_TEXT, "%s", err_text(e));
	return e;
}

void secsh_config_free(struct secsh_config *c)
{
	for (size_t i = 0; i < SECSH_N_OPTIONS; i++)
		free(c->values[i]);
	for (size_t i = 0; i < c->n_files; i++)
		free(c->files[i]);
	free(c->home);
	free(c->login);
	*c = (struct secsh_config){0};
}

const char *secsh_config_text(const struct secsh_config *c, enum secsh_option o, const char *or_)
{
	return c->values[o] != NULL ? c->values[o] : or_;
}

bool secsh_config_yes(const struct secsh_config *c, enum secsh_option o, bool or_)
{
	struct str v = str_of(c->values[o]);

	if (v.len == 0)
		return or_;
	return str_eq_nocase(v, STR("yes")) || str_eq_nocase(v, STR("true"));
}

unsigned secsh_config_number(const struct secsh_config *c, enum secsh_option o, unsigned or_)
{
	struct str v = str_of(c->values[o]);
	uint64_t n = 0;

	if (v.len == 0)
		return or_;
	if (options[o].kind != SECONDS)
		return num_parse(v, INT32_MAX, &n) == 0 ? (unsigned)n : or_;
	return num_parse_duration(v, &n) == 0 ? (unsigned)(n / 1000) : 0;
}
