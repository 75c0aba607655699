import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.concurrent.Executors;

/** Says how many of a product there are; its faults are switched on by files. Arguments: the port, the directory of the files. */
public final class Stock {
    private static final int PIECE = 64 * 1024;
    private static final int SMALL = 16 * 1024;

    public static void main(String[] arguments) throws Exception {
        Path switches = Path.of(arguments[1]);
        var server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0])), 64);
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.createContext("/", exchange -> {
            byte[] answer = count().getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(200, answer.length);
            try (var body = exchange.getResponseBody()) {
                body.write(answer);
            }
        });
        server.start();
        try {
            misbehave(switches);
        } catch (Throwable error) {
            // Without its switches it is of no use: the host starts another one.
            Runtime.getRuntime().halt(1);
        }
    }

    /** Makes some garbage, as any application does. */
    private static String count() {
        var words = new ArrayList<String>();
        for (int number = 0; number < 2_000; number++) {
            words.add("piece " + number);
        }
        return words.size() / 500 + " in stock\n";
    }

    private static void misbehave(Path switches) throws InterruptedException {
        var ring = new ArrayDeque<byte[]>();
        var kept = new ArrayList<byte[]>();
        long most = Runtime.getRuntime().maxMemory() / 10 * 8 / PIECE;
        while (true) {
            if (Files.exists(switches.resolve("memory"))) {
                for (int number = 0; number < 20 && kept.size() < most; number++) {
                    kept.add(new byte[PIECE]);
                }
                Thread.sleep(200);
            } else if (!kept.isEmpty()) {
                // What helps against a leak: another process.
                Runtime.getRuntime().halt(1);
            } else if (Files.exists(switches.resolve("gc"))) {
                for (int number = 0; number < 400; number++) {
                    ring.add(new byte[SMALL]);
                    if (ring.size() > 2_500) {
                        ring.poll();
                    }
                }
                Thread.sleep(1);
            } else {
                ring.clear();
                Thread.sleep(200);
            }
        }
    }
}
