package iap.session;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.BooleanSupplier;

/** The stored session of one request, with the changes that are not sent yet. */
final class Store {
    private final Api api;
    private final Api.Endpoint endpoint;
    private final BooleanSupplier committed;
    private final String userBefore;
    private Map<String, Object> attributes;
    private Map<String, String> stored = Map.of();
    private String user;
    private String handle;
    private boolean isNew = true;
    private boolean closed;
    /** What applications hold; null before the first, and after one was invalidated. */
    GatewaySession facade;

    Store(Api api, Api.Endpoint endpoint, String userBefore, BooleanSupplier committed) {
        this.api = api;
        this.endpoint = endpoint;
        this.userBefore = userBefore;
        this.committed = committed;
    }

    /** Who is logged in, or null. Asks nobody. */
    String user() {
        return attributes == null ? userBefore : user;
    }

    boolean isNew() {
        load();
        return isNew;
    }

    boolean isEmpty() {
        return load().isEmpty() && isNew && user == null;
    }

    /** The attributes, to be looked at. */
    Map<String, Object> load() {
        if (attributes == null) {
            accept(call("GET", "/session", null));
        }
        return attributes;
    }

    /** The attributes, to be changed. */
    Map<String, Object> change() {
        open();
        return load();
    }

    void login(String name) {
        StringBuilder body = new StringBuilder("{\"user\":");
        Json.quote("user", name, body);
        post("/session/login", body.append('}').toString());
    }

    void post(String path, String body) {
        open();
        accept(call("POST", path, body));
    }

    void destroy() {
        open();
        call("DELETE", "/session", null);
        attributes = new LinkedHashMap<>();
        stored = Map.of();
        user = null;
        handle = null;
        isNew = true;
        facade = null;
    }

    /** What may be told of the stored session; null while it is new. */
    String handle() {
        load();
        return handle;
    }

    long increment(String name, long by) {
        open();
        save();
        StringBuilder body = new StringBuilder("{\"name\":");
        Json.quote("name", name, body);
        body.append(",\"by\":").append(by).append('}');
        Number sum = (Number) once("POST", "/session/increment", body.toString()).get("value");
        if (attributes != null) {
            keep(name, sum);
        }
        return sum.longValue();
    }

    boolean compareAndSet(String name, Object expected, Object value) {
        String text = Json.write(name, value);
        String wanted = Json.write(name, expected);
        open();
        save();
        Map<?, ?> state = call("GET", "/session?versions", null);
        accept(state);
        Object now = ((Map<?, ?>) state.get("attributes")).get(name);
        keep(name, now);
        if (!Objects.equals(now, Json.parse(wanted))) {
            return false;
        }
        StringBuilder body = new StringBuilder(value == null ? "{\"remove\":[" : "{\"set\":{");
        Json.quote(name, name, body);
        body.append(value == null ? "]" : ":" + text + "}").append(",\"if\":{");
        Json.quote(name, name, body);
        body.append(':').append(Json.write(name, ((Map<?, ?>) state.get("versions")).get(name))).append("}}");
        try {
            once("PATCH", "/session", body.toString());
        } catch (SessionException error) {
            if (error.getStatus() != 412) {
                throw error;
            }
            keep(name, ((Map<?, ?>) call("GET", "/session", null).get("attributes")).get(name));
            return false;
        }
        keep(name, value);
        return true;
    }

    /** Takes over what is stored. */
    private void keep(String name, Object value) {
        Map<String, String> texts = new LinkedHashMap<>(stored);
        if (value == null) {
            attributes.remove(name);
            texts.remove(name);
        } else {
            attributes.put(name, value);
            texts.put(name, Json.write(name, value));
        }
        stored = texts;
    }

    /** Sends what has changed, in one call. */
    void save() {
        if (attributes == null) {
            return;
        }
        Map<String, String> now = encode(attributes);
        if (now.equals(stored)) {
            return;
        }
        StringBuilder body = new StringBuilder("{\"set\":{");
        String separator = "";
        for (Map.Entry<String, String> entry : now.entrySet()) {
            if (!entry.getValue().equals(stored.get(entry.getKey()))) {
                Json.quote(entry.getKey(), entry.getKey(), body.append(separator));
                body.append(':').append(entry.getValue());
                separator = ",";
            }
        }
        List<String> gone = new ArrayList<>(stored.keySet());
        gone.removeAll(now.keySet());
        body.append("},\"remove\":").append(Json.write("remove", gone)).append('}');
        call("PATCH", "/session", body.toString());
        stored = now;
    }

    /** Gives up what is not saved, so that an error page does not fail for it again. */
    void reset() {
        if (attributes != null) {
            attributes = new LinkedHashMap<>();
            stored.forEach((name, text) -> attributes.put(name, Json.parse(text)));
        }
    }

    /** From now on changes are refused. */
    void close() {
        closed = true;
    }

    private void open() {
        if (closed || committed.getAsBoolean()) {
            throw new IllegalStateException("the response is committed; the session cannot be changed any more");
        }
    }

    private Map<?, ?> call(String method, String path, String body) {
        return api.call(here(), method, path, body);
    }

    /** A call whose effect cannot be had twice. */
    private Map<?, ?> once(String method, String path, String body) {
        return api.call(here(), method, path, body, 1);
    }

    private Api.Endpoint here() {
        if (endpoint == null) {
            throw new SessionUnavailableException("the request has no session: it did not come through the gateway, "
                    + "or the gateway has too many requests in flight", 0, null, null);
        }
        return endpoint;
    }

    private void accept(Map<?, ?> state) {
        user = (String) state.get("user");
        isNew = Boolean.TRUE.equals(state.get("new"));
        handle = (String) state.get("handle");
        if (attributes == null) {
            attributes = new LinkedHashMap<>();
            ((Map<?, ?>) state.get("attributes")).forEach((name, value) -> attributes.put((String) name, value));
            stored = encode(attributes);
        }
    }

    private static Map<String, String> encode(Map<String, Object> attributes) {
        Map<String, String> texts = new LinkedHashMap<>();
        attributes.forEach((name, value) -> texts.put(name, Json.write(name, value)));
        return texts;
    }
}
