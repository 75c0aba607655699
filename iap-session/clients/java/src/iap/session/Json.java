package iap.session;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** JSON (RFC 8259) as String, Integer, Long, Double, Boolean, List and Map. */
final class Json {
    private static final int MAX_DEPTH = 100;
    /** What the API's answers have at most: the values of attributes, and what is around them. */
    private static final int MAX_DEPTH_READ = 130;

    private final String text;
    private int at;

    private Json(String text) {
        this.text = text;
    }

    /** The text of an attribute's value; IllegalArgumentException for what is not JSON. */
    static String write(String name, Object value) {
        StringBuilder out = new StringBuilder();
        write(name, value, out, 0);
        return out.toString();
    }

    private static void write(String name, Object value, StringBuilder out, int depth) {
        if (depth > MAX_DEPTH) {
            throw refused(name, "is nested too deeply, or in a circle");
        }
        if (value == null || value instanceof Boolean || value instanceof Integer || value instanceof Long) {
            out.append(value);
        } else if (value instanceof Double number) {
            if (!Double.isFinite(number)) {
                throw refused(name, "has a number that is not finite");
            }
            out.append(number);
        } else if (value instanceof String string) {
            quote(name, string, out);
        } else if (value instanceof List<?> list) {
            out.append('[');
            String separator = "";
            for (Object item : list) {
                out.append(separator);
                write(name, item, out, depth + 1);
                separator = ",";
            }
            out.append(']');
        } else if (value instanceof Map<?, ?> map) {
            out.append('{');
            String separator = "";
            for (Map.Entry<?, ?> entry : map.entrySet()) {
                if (!(entry.getKey() instanceof String key)) {
                    throw refused(name, "has a key that is not a String");
                }
                out.append(separator);
                quote(name, key, out);
                write(name, entry.getValue(), out.append(':'), depth + 1);
                separator = ",";
            }
            out.append('}');
        } else {
            throw refused(name, "has a " + value.getClass().getName() + ", which is not one of String, Integer, "
                    + "Long, Double, Boolean, List and Map");
        }
    }

    /** A JSON string. */
    static void quote(String name, String string, StringBuilder out) {
        if (!StandardCharsets.UTF_8.newEncoder().canEncode(string)) {
            throw refused(name, "has text that is not Unicode");
        }
        out.append('"');
        for (int index = 0; index < string.length(); index++) {
            char character = string.charAt(index);
            if (character == '"' || character == '\\') {
                out.append('\\').append(character);
            } else if (character < ' ') {
                out.append(String.format("\\u%04x", (int) character));
            } else {
                out.append(character);
            }
        }
        out.append('"');
    }

    private static IllegalArgumentException refused(String name, String what) {
        return new IllegalArgumentException("session attribute \"" + name + "\" " + what);
    }

    /** The value of a text; IllegalArgumentException if it is not JSON. */
    static Object parse(String text) {
        Json json = new Json(text);
        Object value = json.value(0);
        json.space();
        if (json.at != text.length()) {
            throw json.wrong();
        }
        return value;
    }

    private Object value(int depth) {
        if (depth > MAX_DEPTH_READ) {
            throw wrong();
        }
        space();
        return switch (peek()) {
            case '{' -> object(depth);
            case '[' -> array(depth);
            case '"' -> string();
            case 't' -> word("true", true);
            case 'f' -> word("false", false);
            case 'n' -> word("null", null);
            default -> number();
        };
    }

    private Map<String, Object> object(int depth) {
        Map<String, Object> map = new LinkedHashMap<>();
        at++;
        space();
        if (peek() == '}') {
            at++;
            return map;
        }
        do {
            space();
            String key = string();
            space();
            expect(':');
            map.put(key, value(depth + 1));
            space();
        } while (more('}'));
        return map;
    }

    private List<Object> array(int depth) {
        List<Object> list = new ArrayList<>();
        at++;
        space();
        if (peek() == ']') {
            at++;
            return list;
        }
        do {
            list.add(value(depth + 1));
            space();
        } while (more(']'));
        return list;
    }

    private boolean more(char end) {
        if (peek() == ',') {
            at++;
            return true;
        }
        expect(end);
        return false;
    }

    private String string() {
        expect('"');
        StringBuilder out = new StringBuilder();
        while (true) {
            char character = next();
            if (character == '"') {
                return out.toString();
            }
            if (character < ' ') {
                throw wrong();
            }
            out.append(character == '\\' ? escaped() : character);
        }
    }

    private char escaped() {
        char character = next();
        return switch (character) {
            case '"', '\\', '/' -> character;
            case 'b' -> '\b';
            case 'f' -> '\f';
            case 'n' -> '\n';
            case 'r' -> '\r';
            case 't' -> '\t';
            case 'u' -> {
                int code = 0;
                for (int digits = 0; digits < 4; digits++) {
                    int digit = Character.digit(next(), 16);
                    if (digit < 0) {
                        throw wrong();
                    }
                    code = code * 16 + digit;
                }
                yield (char) code;
            }
            default -> throw wrong();
        };
    }

    private Object number() {
        int start = at;
        while (at < text.length() && "+-.eE0123456789".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
        String number = text.substring(start, at);
        if (!number.matches("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?")) {
            throw wrong();
        }
        if (number.matches("-?[0-9]{1,19}")) {
            try {
                long value = Long.parseLong(number);
                // Not in one expression with `?:`, which would make both a long.
                if (value == (int) value) {
                    return (int) value;
                }
                return value;
            } catch (NumberFormatException tooLarge) {
                // As a double, then.
            }
        }
        return Double.parseDouble(number);
    }

    private Object word(String word, Object value) {
        if (!text.startsWith(word, at)) {
            throw wrong();
        }
        at += word.length();
        return value;
    }

    private void space() {
        while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
    }

    private char peek() {
        if (at >= text.length()) {
            throw wrong();
        }
        return text.charAt(at);
    }

    private char next() {
        char character = peek();
        at++;
        return character;
    }

    private void expect(char wanted) {
        if (next() != wanted) {
            throw wrong();
        }
    }

    private IllegalArgumentException wrong() {
        return new IllegalArgumentException("not JSON at character " + at);
    }
}
