/* SPDX-License-Identifier: Apache-2.0 */
/* This file reads a string under a top-level key, which is all that the plugin needs of its configuration. */
#include "plugin.h"

#include <string.h>

struct cursor {
	const char *at, *end;
};

static int peek(struct cursor *c)
{
	while (c->at < c->end && strchr(" \t\r\n", *c->at))
		c->at++;
	return c->at < c->end ? *c->at : -1;
}

/* Skips a string and sets `text` to its content between the quotes; escapes are not decoded. */
static int take_string(struct cursor *c, struct cursor *text)
{
	if (peek(c) != '"')
		return -1;
	text->at = ++c->at;
	while (c->at < c->end && *c->at != '"')
		c->at += *c->at == '\\' ? 2 : 1;
	if (c->at >= c->end)
		return -1;
	text->end = c->at++;
	return 0;
}

/* Skips any value: strings as a whole, the rest by counting brackets. */
static int skip_value(struct cursor *c)
{
	struct cursor ignored;
	int depth = 0;

	for (;;) {
		int next = peek(c);

		if (next < 0)
			return -1;
		if (depth == 0 && (next == ',' || next == '}' || next == ']'))
			return 0;
		if (next == '"') {
			if (take_string(c, &ignored))
				return -1;
			continue;
		}
		if (next == '{' || next == '[')
			depth++;
		if (next == '}' || next == ']')
			depth--;
		c->at++;
	}
}

static int copy_plain(struct cursor text, char *out, size_t cap)
{
	size_t len = text.end - text.at;

	if (len >= cap)
		return -1;
	for (size_t i = 0; i < len; i++)
		if (text.at[i] == '\\' || text.at[i] < 0x20 || text.at[i] == 0x7f)
			return -1;
	memcpy(out, text.at, len);
	out[len] = 0;
	return 0;
}

int json_string(struct bytes json, const char *key, char *out, size_t cap)
{
	struct cursor c = { json.data, json.data + json.len }, name, value;

	if (peek(&c) != '{')
		return -1;
	c.at++;
	while (peek(&c) == '"') {
		if (take_string(&c, &name) || peek(&c) != ':')
			return -1;
		c.at++;
		if ((size_t)(name.end - name.at) == strlen(key) && !memcmp(name.at, key, strlen(key)))
			return take_string(&c, &value) ? -1 : copy_plain(value, out, cap);
		if (skip_value(&c) || peek(&c) != ',')
			return -1;
		c.at++;
	}
	return -1;
}
