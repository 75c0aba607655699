import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.ObjectOutputStream;
import java.io.OutputStream;
import java.io.Serializable;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Date;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.LinkedList;
import java.util.List;
import java.util.Map;

/** Writes sessions as Spring Session and Redisson lay them out, with the values of a real JDK, into a Redis. */
public class SpringSessions {
    static final class Cart implements Serializable {
        private static final long serialVersionUID = 1;
        final String owner;
        final List<Integer> items = new ArrayList<>(List.of(1, 2, 3));
        final Color color = Color.RED;
        final int[] sizes = {1, 2};
        Cart(String owner) { this.owner = owner; }
    }

    enum Color { RED }

    static final class User implements Serializable {
        private static final long serialVersionUID = 1;
        final String username;
        User(String username) { this.username = username; }
    }

    static class Token implements Serializable {
        private static final long serialVersionUID = 1;
        final boolean authenticated = true;
    }

    static final class PasswordToken extends Token {
        private static final long serialVersionUID = 1;
        final Object principal;
        PasswordToken(Object principal) { this.principal = principal; }
    }

    static final class SecurityContext implements Serializable {
        private static final long serialVersionUID = 1;
        final Token authentication;
        SecurityContext(Token authentication) { this.authentication = authentication; }
    }

    private static OutputStream out;
    private static DataInputStream in;

    public static void main(String[] args) throws Exception {
        try (Socket socket = new Socket("127.0.0.1", Integer.parseInt(args[0]))) {
            out = socket.getOutputStream();
            in = new DataInputStream(socket.getInputStream());
            long now = System.currentTimeMillis();
            Map<String, Object> all = new LinkedHashMap<>();
            values(all);
            session("spring:session:sessions:11111111-1111-1111-1111-111111111111", now, 1800, all, true);
            session("spring:session:sessions:22222222-2222-2222-2222-222222222222", now - 10L * 86_400_000, -1,
                new HashMap<>(Map.of("name", "never")), true);
            session("spring:session:sessions:33333333-3333-3333-3333-333333333333", now - 3_600_000, 60,
                new HashMap<>(Map.of("name", "over")), true);
            Map<String, Object> logged = new HashMap<>();
            logged.put("SPRING_SECURITY_CONTEXT", new SecurityContext(new PasswordToken(new User("alice"))));
            session("spring:session:sessions:44444444-4444-4444-4444-444444444444", now, 1800, logged, true);
            // What the indexed repository has besides.
            command("SET", "spring:session:sessions:expires:44444444-4444-4444-4444-444444444444", "");
            command("SADD", "spring:session:expirations:1700000000000", "\"expires:4\"");
            Map<String, Object> bean = new HashMap<>(Map.of("count", 7L, "cart", new Cart("x")));
            session("shop:redisson:tomcat_session:ABCDEF0123456789ABCDEF0123456789.node1", now, 1800, bean, false);
        }
    }

    private static void values(Map<String, Object> all) {
        all.put("long", Long.MAX_VALUE);
        all.put("integer", -5);
        all.put("short", (short) 300);
        all.put("byte", (byte) -1);
        all.put("yes", true);
        all.put("double", 2.5);
        all.put("float", 0.1f);
        all.put("char", 'ü');
        all.put("text", "한국어 \uD83D\uDE00 \0 end");
        all.put("long text", "x".repeat(40_000));
        all.put("date", new Date(951_782_400_123L));
        all.put("list", new ArrayList<>(Arrays.asList(1, "two", null, true)));
        all.put("linked", new LinkedList<>(List.of(1L)));
        all.put("set", new LinkedHashSet<>(List.of("a", "b")));
        all.put("map", new LinkedHashMap<>(Map.of("k", new ArrayList<>(List.of(1.5)))));
        all.put("as list", Arrays.asList("p", "q"));
        all.put("list of", List.of(1, 2, 3));
        all.put("map of", Map.of("one", 1));
        all.put("cart", new Cart("alice"));
        all.put("numbers", new HashMap<>(Map.of(1, "one")));
        all.put("color", Color.RED);
        all.put("removed", null);
    }

    private static void session(String key, long used, int idle, Map<String, Object> attributes, boolean spring)
            throws IOException {
        String meta = spring ? "" : "session:";
        List<Object> words = new ArrayList<>(List.of("HSET", key,
            meta + "creationTime", bytes(used - 1000), meta + "lastAccessedTime", bytes(used),
            meta + "maxInactiveInterval", bytes(idle)));
        for (Map.Entry<String, Object> entry : attributes.entrySet()) {
            words.add((spring ? "sessionAttr:" : "") + entry.getKey());
            words.add(entry.getValue() == null ? new byte[0] : bytes(entry.getValue()));
        }
        command(words.toArray());
    }

    private static byte[] bytes(Object value) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ObjectOutputStream stream = new ObjectOutputStream(bytes)) {
            stream.writeObject(value);
        }
        return bytes.toByteArray();
    }

    private static void command(Object... words) throws IOException {
        ByteArrayOutputStream command = new ByteArrayOutputStream();
        command.write(("*" + words.length + "\r\n").getBytes(StandardCharsets.US_ASCII));
        for (Object word : words) {
            byte[] bytes = word instanceof byte[] raw ? raw : word.toString().getBytes(StandardCharsets.UTF_8);
            command.write(("$" + bytes.length + "\r\n").getBytes(StandardCharsets.US_ASCII));
            command.write(bytes);
            command.write("\r\n".getBytes(StandardCharsets.US_ASCII));
        }
        out.write(command.toByteArray());
        out.flush();
        String reply = "";
        for (int next = in.read(); next != '\n'; next = in.read()) {
            reply += (char) next;
        }
        if (reply.startsWith("-")) {
            throw new IOException(reply);
        }
    }
}
