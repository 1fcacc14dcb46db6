/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grammar of `ip tunnel`, as iproute2 6.1 has it, for mode ipip: one table of words. A
 * word that the table does not know is the tunnel's name, wherever it stands, as there.
 *
 * On purpose unlike iproute2: a word given twice is refused, not overwritten; words of
 * other kinds of tunnels are refused by name; without `mode` it is ipip.
 *
 * Invariant: cv_tunnel_parse_words reads what cv_tunnel_print_words writes to the same
 * configuration.
 */
#include "model/tunnel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/command.h"
#include "model/nearest.h"

/* ---- commands ------------------------------------------------------------------ */

static const struct cv_command commands[] = {
	{"add", CV_TUNNEL_COMMAND_ADD},	      {"change", CV_TUNNEL_COMMAND_CHANGE},
	{"chg", CV_TUNNEL_COMMAND_CHANGE},    {"replace", CV_TUNNEL_COMMAND_REPLACE},
	{"delete", CV_TUNNEL_COMMAND_DELETE}, {"show", CV_TUNNEL_COMMAND_SHOW},
	{"list", CV_TUNNEL_COMMAND_SHOW},     {"lst", CV_TUNNEL_COMMAND_SHOW},
	{"ls", CV_TUNNEL_COMMAND_SHOW},	      {"save", CV_TUNNEL_COMMAND_SAVE},
	{"help", CV_TUNNEL_COMMAND_HELP},
};

enum {
	COMMANDS = sizeof(commands) / sizeof(commands[0])
};

int cv_tunnel_parse_command(const char *word, enum cv_tunnel_command *ret_command,
			    struct cv_error *error)
{
	int command = 0, rc;

	if (!strcmp(word, "prl") || !strcmp(word, "6rd"))
		return cv_error_set(error, -EINVAL,
				    "%s is for IPv6 in IPv4; Culvert carries IPv4 in IPv4 only",
				    word);
	rc = cv_command_parse(commands, COMMANDS, "tunnel", word, &command, error);
	if (!rc)
		*ret_command = (enum cv_tunnel_command)command;
	return rc;
}

/* ---- values ---------------------------------------------------------------------- */

typedef int (*parse_value)(const char *value, struct cv_tunnel_config *config,
			   struct cv_error *error);

static int parse_device(const char *value, const char *what, char *ret_name, struct cv_error *error)
{
	int rc = cv_tunnel_check_name(value, what, error);

	if (rc)
		return rc;
	memset(ret_name, 0, IFNAMSIZ);
	memcpy(ret_name, value, strlen(value) + 1);
	return 0;
}

static int parse_name(const char *value, struct cv_tunnel_config *config, struct cv_error *error)
{
	return parse_device(value, "name", config->name, error);
}

/* Modes that iproute2 knows and that are not ours. */
static const char *const other_modes[] = {"gre",     "gre/ip",	"sit",	     "ipv6/ip", "isatap",
					  "vti",     "vti/ip",	"ip6gre",    "ipip6",	"ip4ip6",
					  "ip6ip6",  "ip6/ip6", "ipv6/ipv6", "any",	"any/ip",
					  "mpls/ip", "erspan"};

static int parse_mode(const char *value, struct cv_tunnel_config *config, struct cv_error *error)
{
	(void)config;
	if (!strcmp(value, "ipip") || !strcmp(value, "ip/ip") || !strcmp(value, "ipv4/ipv4"))
		return 0;
	for (size_t i = 0; i < sizeof(other_modes) / sizeof(other_modes[0]); i++) {
		if (!strcmp(value, other_modes[i]))
			return cv_error_set(error, -EINVAL,
					    "mode %s: Culvert carries IPv4 in IPv4 only; use mode "
					    "ipip",
					    value);
	}
	return cv_error_set(error, -EINVAL, "mode: unknown mode \"%.64s\"; use mode ipip", value);
}

static int parse_remote(const char *value, struct cv_tunnel_config *config, struct cv_error *error)
{
	return cv_tunnel_parse_address(value, "remote", &config->remote, error);
}

static int parse_local(const char *value, struct cv_tunnel_config *config, struct cv_error *error)
{
	return cv_tunnel_parse_address(value, "local", &config->local, error);
}

/* `dev any` takes a device away again in a change. */
static int parse_dev(const char *value, struct cv_tunnel_config *config, struct cv_error *error)
{
	if (!strcmp(value, "any")) {
		memset(config->dev, 0, sizeof(config->dev));
		return 0;
	}
	return parse_device(value, "dev", config->dev, error);
}

/* A whole number of one byte. 0 or -EINVAL. */
static int parse_byte(const char *value, int base, uint8_t *ret)
{
	char *end;
	unsigned long number;

	/* strtoul would take signs and white space. */
	if (!strchr("0123456789abcdefABCDEF", *value) || !*value)
		return -EINVAL;
	number = strtoul(value, &end, base);
	if (*end || number > UINT8_MAX)
		return -EINVAL;
	*ret = (uint8_t)number;
	return 0;
}

static int parse_ttl(const char *value, struct cv_tunnel_config *config, struct cv_error *error)
{
	if (!strcmp(value, "inherit")) {
		config->ipip.ttl = 0;
		return 0;
	}
	if (parse_byte(value, 0, &config->ipip.ttl))
		return cv_error_set(error, -EINVAL,
				    "ttl: \"%.64s\" is not a TTL; give a number from 1 to 255, or "
				    "inherit",
				    value);
	return 0;
}

/* RFC 2474, 2597, 3246: names of code points, in their place in the TOS byte. */
static const struct {
	const char *name;
	uint8_t tos;
} code_points[] = {
	{"default", 0x00}, {"CS1", 0x20},  {"CS2", 0x40},  {"CS3", 0x60},  {"CS4", 0x80},
	{"CS5", 0xa0},	   {"CS6", 0xc0},  {"CS7", 0xe0},  {"AF11", 0x28}, {"AF12", 0x30},
	{"AF13", 0x38},	   {"AF21", 0x48}, {"AF22", 0x50}, {"AF23", 0x58}, {"AF31", 0x68},
	{"AF32", 0x70},	   {"AF33", 0x78}, {"AF41", 0x88}, {"AF42", 0x90}, {"AF43", 0x98},
	{"EF", 0xb8},
};

/* iproute2 reads the number as hexadecimal, with or without 0x. */
static int parse_tos_byte(const char *value, uint8_t *ret_tos, struct cv_error *error)
{
	uint8_t tos;

	for (size_t i = 0; i < sizeof(code_points) / sizeof(code_points[0]); i++) {
		if (!strcmp(value, code_points[i].name)) {
			*ret_tos = code_points[i].tos;
			return 0;
		}
	}
	if (parse_byte(value, 16, &tos))
		return cv_error_set(error, -EINVAL,
				    "tos: \"%.64s\" is not a TOS; give a hexadecimal number from 0 "
				    "to fc, a name like AF21, or inherit",
				    value);
	if (tos & CV_ECN_MASK)
		return cv_error_set(
			error, -EINVAL,
			"tos %.64s: its two lowest bits are the ECN field, which is not "
			"yours to set; use 0x%02x, or inherit",
			value, tos & ~CV_ECN_MASK);
	*ret_tos = tos;
	return 0;
}

/*
 * inherit/TOS: TOS is for inner packets that are not IPv4, of which there are none. 1 is how the
 * kernel writes inherit.
 */
static int parse_tos(const char *value, struct cv_tunnel_config *config, struct cv_error *error)
{
	uint8_t tos = 0;
	bool with_tos = !strncmp(value, "inherit/", 8);
	bool inherit = with_tos || !strcmp(value, "inherit") || !strcmp(value, "1");
	int rc = 0;

	if (!inherit)
		rc = parse_tos_byte(value, &tos, error);
	else if (with_tos)
		rc = parse_tos_byte(value + 8, &tos, error);
	if (rc)
		return rc;
	config->ipip.tos_inherit = inherit;
	config->ipip.tos = inherit ? 0 : tos;
	return 0;
}

static int parse_ecn(const char *value, struct cv_tunnel_config *config, struct cv_error *error)
{
	if (!strcmp(value, "normal"))
		config->ipip.ecn_mode = CV_ECN_NORMAL;
	else if (!strcmp(value, "compat"))
		config->ipip.ecn_mode = CV_ECN_COMPATIBLE;
	else
		return cv_error_set(error, -EINVAL,
				    "ecn: \"%.64s\" is not a mode of RFC 6040; give normal or "
				    "compat",
				    value);
	return 0;
}

static int parse_mssclamp(const char *value, struct cv_tunnel_config *config,
			  struct cv_error *error)
{
	unsigned long number = 0;
	char *end = NULL;

	if (!strcmp(value, "auto")) {
		config->mssclamp = CV_TCP_MSS_AUTO;
		return 0;
	}
	if (!strcmp(value, "off")) {
		config->mssclamp = CV_TCP_MSS_OFF;
		return 0;
	}
	/* strtoul would take signs and white space. */
	if (strchr("0123456789", *value) && *value)
		number = strtoul(value, &end, 10);
	if (!end || *end || number < CV_TCP_MSS_LEAST || number > CV_TCP_MSS_MOST)
		return cv_error_set(error, -EINVAL,
				    "mssclamp: \"%.64s\" is not a limit; give a number from %d to "
				    "%d, auto or off",
				    value, CV_TCP_MSS_LEAST, CV_TCP_MSS_MOST);
	config->mssclamp = (uint16_t)number;
	return 0;
}

static int set_pmtudisc(const char *value, struct cv_tunnel_config *config, struct cv_error *error)
{
	(void)value;
	(void)error;
	config->ipip.pmtudisc = true;
	return 0;
}

static int set_nopmtudisc(const char *value, struct cv_tunnel_config *config,
			  struct cv_error *error)
{
	(void)value;
	(void)error;
	config->ipip.pmtudisc = false;
	return 0;
}

static int set_strict(const char *value, struct cv_tunnel_config *config, struct cv_error *error)
{
	(void)value;
	(void)error;
	config->strict = true;
	return 0;
}

static int set_nostrict(const char *value, struct cv_tunnel_config *config, struct cv_error *error)
{
	(void)value;
	(void)error;
	config->strict = false;
	return 0;
}

/* ---- words ----------------------------------------------------------------------- */

struct word {
	const char *name;
	uint32_t field;	   /* enum cv_tunnel_field; 0: a word that is not for us */
	const char *value; /* what must follow; NULL: nothing. field 0: what it belongs to */
	parse_value parse;
};

#define GRE  "GRE"
#define IPV6 "IPv6 in IPv4"
#define FOU  "encapsulation in UDP"

static const struct word words_known[] = {
	{"mode", CV_TUNNEL_MODE, "ipip", parse_mode},
	{"remote", CV_TUNNEL_REMOTE, "ADDRESS|any", parse_remote},
	{"local", CV_TUNNEL_LOCAL, "ADDRESS|any", parse_local},
	{"dev", CV_TUNNEL_DEV, "DEVICE|any", parse_dev},
	{"ttl", CV_TUNNEL_TTL, "1..255|inherit", parse_ttl},
	{"hoplimit", CV_TUNNEL_TTL, "1..255|inherit", parse_ttl},
	{"hlim", CV_TUNNEL_TTL, "1..255|inherit", parse_ttl},
	{"tos", CV_TUNNEL_TOS, "TOS|inherit", parse_tos},
	{"tclass", CV_TUNNEL_TOS, "TOS|inherit", parse_tos},
	{"dsfield", CV_TUNNEL_TOS, "TOS|inherit", parse_tos},
	{"ecn", CV_TUNNEL_ECN, "normal|compat", parse_ecn},
	{"mssclamp", CV_TUNNEL_MSSCLAMP, "auto|off|88..65495", parse_mssclamp},
	{"name", CV_TUNNEL_NAME, "NAME", parse_name},
	{"pmtudisc", CV_TUNNEL_PMTUDISC, NULL, set_pmtudisc},
	{"nopmtudisc", CV_TUNNEL_PMTUDISC, NULL, set_nopmtudisc},
	{"strict", CV_TUNNEL_STRICT, NULL, set_strict},
	{"nostrict", CV_TUNNEL_STRICT, NULL, set_nostrict},
	{"key", 0, GRE, NULL},
	{"ikey", 0, GRE, NULL},
	{"okey", 0, GRE, NULL},
	{"seq", 0, GRE, NULL},
	{"iseq", 0, GRE, NULL},
	{"oseq", 0, GRE, NULL},
	{"csum", 0, GRE, NULL},
	{"icsum", 0, GRE, NULL},
	{"ocsum", 0, GRE, NULL},
	{"prl-default", 0, IPV6, NULL},
	{"prl-nodefault", 0, IPV6, NULL},
	{"prl-delete", 0, IPV6, NULL},
	{"6rd-prefix", 0, IPV6, NULL},
	{"6rd-relay_prefix", 0, IPV6, NULL},
	{"6rd-reset", 0, IPV6, NULL},
	{"encap", 0, FOU, NULL},
	{"noencap", 0, FOU, NULL},
	{"encap-sport", 0, FOU, NULL},
	{"encap-dport", 0, FOU, NULL},
	{"encap-csum", 0, FOU, NULL},
};

enum {
	WORDS = sizeof(words_known) / sizeof(words_known[0])
};

static const struct word *find_word(const char *text)
{
	for (size_t i = 0; i < WORDS; i++) {
		if (!strcmp(words_known[i].name, text))
			return &words_known[i];
	}
	/* The one word that iproute2 lets be abbreviated. */
	if (strlen(text) >= 2 && !strncmp("dsfield", text, strlen(text)))
		return find_word("dsfield");
	return NULL;
}

/* The nearest word that may be used; NULL: none is near. */
static const char *nearest_word(const char *text)
{
	struct cv_nearest nearest;

	cv_nearest_init(&nearest, text);
	for (size_t i = 0; i < WORDS; i++) {
		if (words_known[i].field)
			cv_nearest_offer(&nearest, words_known[i].name);
	}
	return nearest.best;
}

/* A word behind the name that nobody knows; perhaps the "name" was the slip. */
static int unknown_word(const char *text, const char *name, struct cv_error *error)
{
	const char *meant = nearest_word(text);

	if (meant)
		return cv_error_set(error, -EINVAL, "unknown word \"%.64s\"; did you mean %s?",
				    text, meant);
	meant = nearest_word(name);
	if (meant)
		return cv_error_set(error, -EINVAL,
				    "unknown word \"%.64s\": \"%s\" was taken for the tunnel's "
				    "name; did you mean %s?",
				    text, name, meant);
	return cv_error_set(error, -EINVAL,
			    "unknown word \"%.64s\" (the name is \"%s\"); try \"culvert tunnel "
			    "help\"",
			    text, name);
}

/* One word, and its value if it has one. Returns how many words were used, or -EINVAL. */
static int parse_word(size_t count, const char *const *texts, struct cv_tunnel_patch *patch,
		      struct cv_error *error)
{
	static const struct word bare_name = {"name", CV_TUNNEL_NAME, NULL, parse_name};
	const struct word *word = find_word(texts[0]);
	const char *value = texts[0];
	int rc;

	if (!word && (patch->given & CV_TUNNEL_NAME))
		return unknown_word(texts[0], patch->config.name, error);
	if (!word)
		word = &bare_name;
	if (!word->field)
		return cv_error_set(error, -EINVAL,
				    "%s belongs to %s; Culvert carries IPv4 in IPv4 only: leave it "
				    "out",
				    word->name, word->value);
	if (patch->given & word->field)
		return cv_error_set(error, -EINVAL, "%s is given twice; give it once", word->name);
	if (word->value) {
		if (count < 2)
			return cv_error_set(error, -EINVAL, "%s: its value is missing; write %s %s",
					    word->name, word->name, word->value);
		value = texts[1];
	}
	rc = word->parse(value, &patch->config, error);
	if (rc)
		return rc;
	patch->given |= word->field;
	return word->value ? 2 : 1;
}

/* Names by which `ip tunnel add` without `mode` would make something else. */
static int check_implied_mode(const struct cv_tunnel_patch *patch, struct cv_error *error)
{
	static const char *const prefixes[] = {"gre", "sit", "isatap", "vti"};

	if (patch->given & CV_TUNNEL_MODE)
		return 0;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		if (!strncmp(patch->config.name, prefixes[i], strlen(prefixes[i])))
			return cv_error_set(error, -EINVAL,
					    "%s: without a mode, its name would mean mode %s to "
					    "`ip tunnel`; say mode ipip",
					    patch->config.name, prefixes[i]);
	}
	return 0;
}

static int check_whole(const struct cv_tunnel_patch *patch, struct cv_error *error)
{
	struct cv_tunnel_config config;
	int rc = check_implied_mode(patch, error);

	if (rc)
		return rc;
	cv_tunnel_config_init(&config);
	cv_tunnel_config_apply(&config, patch);
	return cv_tunnel_config_check(&config, error);
}

int cv_tunnel_parse_words(enum cv_tunnel_command command, size_t count, const char *const *words,
			  struct cv_tunnel_patch *ret_patch, struct cv_error *error)
{
	struct cv_tunnel_patch patch = {.given = 0};
	int rc = 0;

	cv_tunnel_config_init(&patch.config);
	for (size_t i = 0; i < count; i += (size_t)rc) {
		rc = parse_word(count - i, &words[i], &patch, error);
		if (rc < 0)
			return rc;
	}
	if (command != CV_TUNNEL_COMMAND_SHOW && command != CV_TUNNEL_COMMAND_SAVE &&
	    !(patch.given & CV_TUNNEL_NAME))
		return cv_error_set(error, -EINVAL, "which tunnel? Give its name, as in tun0");
	if (command == CV_TUNNEL_COMMAND_ADD || command == CV_TUNNEL_COMMAND_REPLACE) {
		rc = check_whole(&patch, error);
		if (rc)
			return rc;
	}
	*ret_patch = patch;
	return 0;
}

/* ---- printing -------------------------------------------------------------------- */

/* By its name where it has one, as iproute2 does. */
static void print_tos(uint8_t tos, char *text, size_t size)
{
	for (size_t i = 0; i < sizeof(code_points) / sizeof(code_points[0]); i++) {
		if (code_points[i].tos == tos) {
			snprintf(text, size, " tos %s", code_points[i].name);
			return;
		}
	}
	snprintf(text, size, " tos 0x%02x", tos);
}

static void print_mssclamp(uint16_t mssclamp, char *text, size_t size)
{
	if (mssclamp == CV_TCP_MSS_OFF)
		snprintf(text, size, " mssclamp off");
	else
		snprintf(text, size, " mssclamp %u", mssclamp);
}

/* Everything behind the name and the mode; what is the default is left out, but ttl. */
static void print_rest(const struct cv_tunnel_config *config, char *text, size_t size)
{
	char remote[INET_ADDRSTRLEN], local[INET_ADDRSTRLEN];
	char ttl[8] = "inherit", tos[16] = "", mssclamp[16] = "";

	if (config->ipip.ttl)
		snprintf(ttl, sizeof(ttl), "%u", config->ipip.ttl);
	if (config->ipip.tos_inherit)
		snprintf(tos, sizeof(tos), " tos inherit");
	else if (config->ipip.tos)
		print_tos(config->ipip.tos, tos, sizeof(tos));
	if (config->mssclamp != CV_TCP_MSS_AUTO)
		print_mssclamp(config->mssclamp, mssclamp, sizeof(mssclamp));
	snprintf(text, size, " remote %s local %s%s%s ttl %s%s%s%s%s%s",
		 cv_tunnel_format_address(config->remote, remote),
		 cv_tunnel_format_address(config->local, local), config->dev[0] ? " dev " : "",
		 config->dev, ttl, tos, config->ipip.pmtudisc ? "" : " nopmtudisc",
		 config->strict ? "" : " nostrict",
		 config->ipip.ecn_mode == CV_ECN_NORMAL ? "" : " ecn compat", mssclamp);
}

void cv_tunnel_print_words(const struct cv_tunnel_config *config, char text[CV_TUNNEL_TEXT_MAX])
{
	/* A tunnel may be named like a word. */
	int n = snprintf(text, CV_TUNNEL_TEXT_MAX, "%s%s mode ipip",
			 find_word(config->name) ? "name " : "", config->name);

	print_rest(config, text + n, CV_TUNNEL_TEXT_MAX - (size_t)n);
}

void cv_tunnel_print_line(const struct cv_tunnel_config *config, char text[CV_TUNNEL_TEXT_MAX])
{
	int n = snprintf(text, CV_TUNNEL_TEXT_MAX, "%s: ip/ip", config->name);

	print_rest(config, text + n, CV_TUNNEL_TEXT_MAX - (size_t)n);
}

int cv_words_split(char *line, const char **ret_words, size_t max)
{
	static const char space[] = " \t\r\n\v\f";
	size_t count = 0;

	for (;;) {
		line += strspn(line, space);
		if (!*line || *line == '#')
			return (int)count;
		if (count == max)
			return -E2BIG;
		ret_words[count++] = line;
		line += strcspn(line, space);
		if (!*line)
			return (int)count;
		*line++ = '\0';
	}
}
