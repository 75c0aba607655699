package iap.session;

/** The client's own JSON, which it does not offer to applications, for one. */
public final class TestJson {
    private TestJson() {}

    public static Object parse(String text) {
        return Json.parse(text);
    }

    public static String write(Object value) {
        return Json.write("test", value);
    }
}
