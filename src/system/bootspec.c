/* SPDX-License-Identifier: MIT */
/*
 * The reader of boot.json. It is strict where the RFC is (types, required keys, no null) and blind
 * to keys it does not know, as the RFC asks. Paths are only text here; whether they exist is for
 * those to find out who need them.
 */
#include "system/bootspec.h"

#include "base/path.h"

#include <jansson.h>
#include <string.h>

static const char v1_key[] = "org.nixos.bootspec.v1";
static const char init_key[] = "org.nixos.nixos-init.v1";
static const char loader_key[] = "org.nixos.systemd-boot";
static const char specialisation_key[] = "org.nixos.specialisation.v1";

/* An object and what to call it in messages. */
struct scope {
	json_t *object;
	const char *name;
};

void nixos_init_done(struct nixos_init *init)
{
	strvec_done(&init->store_mount_opts);
	free(init->firmware);
	free(init->modprobe_binary);
	free(init->sh_binary);
	free(init->env_binary);
	free(init->etc_metadata_image);
	free(init->etc_basedir);
	*init = (struct nixos_init){0};
}

void bootspec_done(struct bootspec *spec)
{
	free(spec->system);
	free(spec->init);
	free(spec->kernel);
	free(spec->label);
	free(spec->toplevel);
	free(spec->initrd);
	free(spec->initrd_secrets);
	free(spec->device_tree);
	strvec_done(&spec->params);
	strvec_done(&spec->specialisations);
	strvec_done(&spec->specialisation_paths);
	nixos_init_done(&spec->nixos_init);
	*spec = (struct bootspec){0};
}

static const char *type_name(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
	case JSON_REAL:
		return "a number";
	case JSON_TRUE:
	case JSON_FALSE:
		return "a boolean";
	case JSON_NULL:
		return "null";
	}
	return "unknown";
}

static int wrong_type(const json_t *value, const struct scope *in, const char *key,
	const char *wanted, struct err *err)
{
	return err_raise(err, ERR_CORRUPT, "'%s' in '%s' is %s, not %s", key, in->name,
		type_name(value), wanted);
}

static int lacks(const struct scope *in, const char *key, struct err *err)
{
	return err_raise(err, ERR_CORRUPT, "'%s' lacks '%s'", in->name, key);
}

/*
 * Strings end up in command lines, iPXE scripts and plans of one line each, so a control character
 * could only be damage or an attack.
 */
static bool is_one_line(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

/* The text of a value; NULL when it failed. */
static const char *text_of(
	const json_t *value, const struct scope *in, const char *key, struct err *err)
{
	if (!json_is_string(value)) {
		wrong_type(value, in, key, "a string", err);
		return NULL;
	}
	const char *text = json_string_value(value);
	if (!is_one_line(text)) {
		err_raise(err, ERR_CORRUPT, "'%s' in '%s' contains a control character", key,
			in->name);
		return NULL;
	}
	return text;
}

static int get_string(
	const struct scope *in, const char *key, bool required, char **ret, struct err *err)
{
	const json_t *value = json_object_get(in->object, key);
	if (value == NULL)
		return required ? lacks(in, key, err) : 0;
	const char *text = text_of(value, in, key, err);
	if (text == NULL)
		return -1;
	char *copy = strdup(text);
	if (copy == NULL)
		return err_oom(err);
	*ret = copy;
	return 0;
}

static int get_strings(
	const struct scope *in, const char *key, bool required, struct strvec *ret, struct err *err)
{
	const json_t *array = json_object_get(in->object, key);
	if (array == NULL)
		return required ? lacks(in, key, err) : 0;
	if (!json_is_array(array))
		return wrong_type(array, in, key, "an array", err);
	for (size_t i = 0; i < json_array_size(array); i++) {
		AUTO_FREE char *name = path_printf(err, "%s[%zu]", key, i);
		if (name == NULL)
			return -1;
		const char *text = text_of(json_array_get(array, i), in, name, err);
		if (text == NULL || strvec_push(ret, text, err) < 0)
			return -1;
	}
	return 0;
}

/* The object below `key`: 1 and *ret, or 0 when there is none. */
static int get_object(const struct scope *in, const char *key, struct scope *ret, struct err *err)
{
	json_t *object = json_object_get(in->object, key);
	if (object == NULL)
		return 0;
	if (!json_is_object(object))
		return wrong_type(object, in, key, "an object", err);
	*ret = (struct scope){object, key};
	return 1;
}

static int read_v1(const struct scope *v1, struct bootspec *spec, struct err *err)
{
	if (get_string(v1, "system", true, &spec->system, err) < 0 ||
		get_string(v1, "init", true, &spec->init, err) < 0 ||
		get_string(v1, "kernel", true, &spec->kernel, err) < 0 ||
		get_strings(v1, "kernelParams", true, &spec->params, err) < 0 ||
		get_string(v1, "label", true, &spec->label, err) < 0 ||
		get_string(v1, "toplevel", true, &spec->toplevel, err) < 0 ||
		get_string(v1, "initrd", false, &spec->initrd, err) < 0)
		return -1;
	return get_string(v1, "initrdSecrets", false, &spec->initrd_secrets, err);
}

static int read_nixos_init(const struct scope *in, struct nixos_init *init, struct err *err)
{
	const struct {
		const char *key;
		char **field;
	} fields[] = {
		{"firmware", &init->firmware},
		{"modprobe_binary", &init->modprobe_binary},
		{"sh_binary", &init->sh_binary},
		{"env_binary", &init->env_binary},
		{"etc_metadata_image", &init->etc_metadata_image},
		{"etc_basedir", &init->etc_basedir},
	};
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (get_string(in, fields[i].key, false, fields[i].field, err) < 0)
			return -1;
	return get_strings(in, "nix_store_mount_opts", false, &init->store_mount_opts, err);
}

/* nixpkgs' own extension writes null for no device tree (systemd-boot.nix). */
static int read_loader(const struct scope *in, struct bootspec *spec, struct err *err)
{
	static const char key[] = "devicetree";
	if (json_is_null(json_object_get(in->object, key)))
		return 0;
	return get_string(in, key, false, &spec->device_tree, err);
}

/* The object that has the keys of the specification: in the final form and in the one before. */
static int find_v1(const struct scope *document, struct scope *ret, struct err *err)
{
	int found = get_object(document, v1_key, ret, err);
	if (found == 0)
		found = get_object(document, "v1", ret, err);
	if (found == 0)
		return lacks(document, v1_key, err);
	return found < 0 ? -1 : 0;
}

static int read_specialisation(
	const char *name, json_t *value, bool final, struct bootspec *spec, struct err *err)
{
	ERR_SCOPE(err, "specialisation '%s'", name);
	AUTO_BOOTSPEC child = {0};
	struct scope document = {value, name}, v1 = document;
	if (!json_is_object(value))
		return err_raise(err, ERR_CORRUPT, "it is %s, not an object", type_name(value));
	/* Before the RFC was final, a specialisation was the contents of `v1` and no document. */
	if (final && find_v1(&document, &v1, err) < 0)
		return -1;
	if (read_v1(&v1, &child, err) < 0 || strvec_push(&spec->specialisations, name, err) < 0)
		return -1;
	return strvec_push(&spec->specialisation_paths, child.toplevel, err);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int read_specialisations(
	const struct scope *map, bool final, struct bootspec *spec, struct err *err)
{
	size_t count = json_object_size(map->object), i = 0;
	AUTO_FREE const char **names = calloc(count + 1, sizeof(*names));
	const char *name;
	json_t *value;
	if (names == NULL)
		return err_oom(err);
	json_object_foreach(map->object, name, value) names[i++] = name;
	qsort(names, count, sizeof(*names), compare_names);
	for (i = 0; i < count; i++) {
		if (!is_one_line(names[i]))
			return err_raise(err, ERR_CORRUPT,
				"the name of a specialisation contains a control character");
		if (read_specialisation(
			    names[i], json_object_get(map->object, names[i]), final, spec, err) < 0)
			return -1;
	}
	return 0;
}

static int read_document(const struct scope *document, struct bootspec *spec, struct err *err)
{
	struct scope v1 = {0}, init = {0}, loader = {0}, map = {0};
	if (find_v1(document, &v1, err) < 0 || read_v1(&v1, spec, err) < 0)
		return -1;
	bool final = v1.name == v1_key;
	int has_map = final ? get_object(document, specialisation_key, &map, err)
			    : get_object(&v1, "specialisation", &map, err);
	if (has_map < 0 || (has_map && read_specialisations(&map, final, spec, err) < 0))
		return -1;
	int has_loader = get_object(document, loader_key, &loader, err);
	if (has_loader < 0 || (has_loader && read_loader(&loader, spec, err) < 0))
		return -1;
	int has_init = get_object(document, init_key, &init, err);
	if (has_init < 0)
		return -1;
	spec->has_nixos_init = has_init;
	return has_init ? read_nixos_init(&init, &spec->nixos_init, err) : 0;
}

static void json_done(json_t **json)
{
	json_decref(*json);
}

int bootspec_parse(const char *text, size_t len, struct bootspec *ret, struct err *err)
{
	json_error_t cause;
	AUTO(json_done) json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &cause);
	if (root == NULL)
		return err_raise(err, ERR_CORRUPT, "not JSON: line %d, column %d: %s", cause.line,
			cause.column, cause.text);
	if (!json_is_object(root))
		return err_raise(
			err, ERR_CORRUPT, "the document is %s, not an object", type_name(root));
	AUTO_BOOTSPEC spec = {0};
	const struct scope document = {root, "the document"};
	if (read_document(&document, &spec, err) < 0)
		return -1;
	*ret = spec;
	spec = (struct bootspec){0};
	return 0;
}
