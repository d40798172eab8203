/*
 * The objects of the API, one table of members each: bodies are checked by it, and the OpenAPI
 * document is written from it. Private to api/.
 */
#ifndef KAREZ_API_API_SCHEMA_H
#define KAREZ_API_API_SCHEMA_H

#include "base/str.h"

enum api_type {
	API_TEXT,
	API_NUMBER,
	API_BOOL,
	API_TIME, /* RFC 3339 */
	API_OBJECT,
	API_LIST,
};

/* Bits of api_field.flags. */
enum {
	API_READ_ONLY = 1,  /* ours to say; in a body it may be anything and is passed over */
	API_WRITE_ONLY = 2, /* never told */
	API_REQUIRED = 4,   /* in the body of a POST */
	API_IGNORED = 8,    /* for scripts written for exposr: accepted, without effect */
	API_COUNTED = 16,   /* a list that is told as a number; that number sent back: unchanged */
	API_NULLABLE = 32,  /* null means the same as not there */
	API_LINES = 64,	    /* a text that may hold line ends */
	API_NUMBERS = 128,  /* a list of NULL that is told only: of numbers */
};

struct api_schema;

struct api_field {
	const char *name;
	enum api_type type;
	unsigned flags;
	/* Of a text: bytes; of a number: its value; of a list: entries. */
	uint64_t min, max;
	/* Of an object, or of a list's entries; a list of NULL: texts of 1 to text_max bytes. */
	const struct api_schema *of;
	uint64_t text_max;
	const char *const *words; /* a text that is one of these, NULL-terminated; NULL: any */
	const char *help;	  /* a sentence without a full stop */
};

struct api_schema {
	const char *name; /* "Tunnel": its own place in the document */
	const char *help;
	const struct api_field *fields;
	size_t n_fields;
	const struct api_schema *more; /* has these as well; NULL: none */
};

/* Member i of all that a schema has; NULL behind the last one. */
const struct api_field *api_schema_field(const struct api_schema *s, size_t i);

/* All there are; made in api_schema.c. */
extern const struct api_schema api_schema_empty, api_schema_problem, api_schema_account,
	api_schema_account_new, api_schema_account_made, api_schema_account_self,
	api_schema_account_disable, api_schema_number, api_schema_old_token, api_schema_credential,
	api_schema_credential_new, api_schema_tunnel, api_schema_tunnels, api_schema_all_tunnels,
	api_schema_agent, api_schema_session, api_schema_visitor, api_schema_disconnect,
	api_schema_result, api_schema_invitation, api_schema_invitation_new, api_schema_node,
	api_schema_peer, api_schema_status, api_schema_version, api_schema_ssh, api_schema_opened;

#endif
