package iap.session;

import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.HttpTimeoutException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.regex.Pattern;

/** Calls of the session API over kept connections. */
final class Api {
    private static final Pattern TOKEN = Pattern.compile("[A-Za-z0-9_-]{22}");
    private static final Pattern LOOPBACK = Pattern.compile("localhost|127(\\.[0-9]{1,3}){3}|\\[::1\\]");
    private static final int MAX_ANSWER = 16 << 20;

    private final String fixed;
    private final Duration timeout;
    private final HttpClient client;

    /** Where a request has its session. */
    record Endpoint(String url, String token) {
        @Override
        public String toString() {
            return url;
        }
    }

    Api(String fixed, Duration timeout) {
        this.fixed = fixed;
        this.timeout = timeout;
        this.client = HttpClient.newBuilder()
                .version(HttpClient.Version.HTTP_1_1)
                .proxy(HttpClient.Builder.NO_PROXY)
                .connectTimeout(timeout)
                .build();
    }

    /** For a request with these header values; null without a session. */
    Endpoint endpoint(String token, String url) {
        if (token == null || !TOKEN.matcher(token).matches()) {
            return null;
        }
        if (fixed != null) {
            return new Endpoint(fixed, token);
        }
        try {
            URI uri = URI.create(url == null ? "" : url);
            boolean ours = "http".equals(uri.getScheme()) && uri.getHost() != null
                    && LOOPBACK.matcher(uri.getHost()).matches();
            return ours ? new Endpoint("http://" + uri.getRawAuthority(), token) : null;
        } catch (IllegalArgumentException notAnAddress) {
            return null;
        }
    }

    /** One call, which may be made twice; the answer's JSON, or null if it has none. */
    Map<?, ?> call(Endpoint endpoint, String method, String path, String body) {
        return call(endpoint, method, path, body, 2);
    }

    /** One call, made so often at most. */
    Map<?, ?> call(Endpoint endpoint, String method, String path, String body, int attempts) {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(endpoint.url() + path))
                .timeout(timeout)
                .header("Authorization", "Bearer " + endpoint.token());
        if (body == null) {
            request.method(method, BodyPublishers.noBody());
        } else {
            request.header("Content-Type", "application/json").method(method, BodyPublishers.ofString(body));
        }
        HttpResponse<InputStream> response;
        String text;
        try {
            response = send(request.build(), attempts);
            try (InputStream in = response.body()) {
                byte[] bytes = in.readNBytes(MAX_ANSWER + 1);
                if (bytes.length > MAX_ANSWER) {
                    throw new IOException("too long");
                }
                text = new String(bytes, StandardCharsets.UTF_8);
            }
        } catch (IOException error) {
            throw unreachable(error);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            throw unreachable(error);
        }
        if (response.statusCode() == 204) {
            return null;
        }
        Map<?, ?> answer;
        try {
            answer = (Map<?, ?>) Json.parse(text);
        } catch (IllegalArgumentException | ClassCastException error) {
            throw new SessionException("the session API has answered something that is not a JSON object",
                    response.statusCode(), null);
        }
        if (response.statusCode() < 300) {
            return answer;
        }
        throw refusal(response, answer);
    }

    private HttpResponse<InputStream> send(HttpRequest request, int attempts)
            throws IOException, InterruptedException {
        try {
            return client.send(request, BodyHandlers.ofInputStream());
        } catch (HttpTimeoutException error) {
            throw error;
        } catch (IOException closed) {
            if (attempts < 2) {
                throw closed;
            }
            // A kept connection may have been closed meanwhile.
            return client.send(request, BodyHandlers.ofInputStream());
        }
    }

    private static SessionException unreachable(Exception error) {
        return new SessionUnavailableException(
                "the session API does not answer: " + error.getClass().getSimpleName(), 0, null, null);
    }

    private static SessionException refusal(HttpResponse<?> response, Map<?, ?> problem) {
        int status = response.statusCode();
        String message = "the session API has refused: " + problem.get("detail");
        String kind = problem.get("kind") instanceof String text ? text : null;
        if (status == 503) {
            String retryAfter = response.headers().firstValue("Retry-After").orElse(null);
            return new SessionUnavailableException(message, status, kind, retryAfter);
        }
        return new SessionException(message, status, kind);
    }
}
