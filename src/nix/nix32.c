/* SPDX-License-Identifier: MIT */
/* Nix's base 32. Digit i (from the right) holds the bits 5i to 5i + 4 of the number. */
#include "nix/nix32.h"

#include <string.h>

static const char alphabet[] = "0123456789abcdfghijklmnpqrsvwxyz";

void nix32_encode(const uint8_t *data, size_t size, char *out)
{
	for (size_t i = nix32_len(size); i-- > 0;) {
		size_t byte = i * 5 / 8, bit = i * 5 % 8;
		unsigned next = byte + 1 < size ? data[byte + 1] : 0;
		*out++ = alphabet[((data[byte] | next << 8) >> bit) & 31];
	}
	*out = '\0';
}

bool nix32_is_digit(char c)
{
	return c != '\0' && strchr(alphabet, c) != NULL;
}

bool nix32_decode(const char *text, size_t text_len, uint8_t *data, size_t size)
{
	if (text_len != nix32_len(size))
		return false;
	memset(data, 0, size);
	for (size_t i = text_len; i-- > 0;) {
		if (!nix32_is_digit(*text))
			return false;
		unsigned digit = (unsigned)(strchr(alphabet, *text++) - alphabet);
		size_t byte = i * 5 / 8, bit = i * 5 % 8;
		unsigned shifted = digit << bit;
		data[byte] = (uint8_t)(data[byte] | shifted);
		if (shifted > 0xff && byte + 1 == size)
			return false;
		if (shifted > 0xff)
			data[byte + 1] = (uint8_t)(data[byte + 1] | shifted >> 8);
	}
	return true;
}
