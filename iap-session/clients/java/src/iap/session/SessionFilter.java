package iap.session;

import jakarta.servlet.DispatcherType;
import jakarta.servlet.Filter;
import jakarta.servlet.FilterChain;
import jakarta.servlet.FilterConfig;
import jakarta.servlet.ServletException;
import jakarta.servlet.ServletRequest;
import jakarta.servlet.ServletResponse;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;

/**
 * Backs {@code request.getSession()} with the session that the gateway keeps.
 *
 * <p>Parameters: {@code url} fixes the address of the session API, which else comes with each request and has to be a
 * loopback address; {@code timeout} is in milliseconds, for each of its calls.
 */
public final class SessionFilter implements Filter {
    private static final String STORE = SessionFilter.class.getName() + ".store";

    private Api api;

    @Override
    public void init(FilterConfig config) throws ServletException {
        String timeout = config.getInitParameter("timeout");
        try {
            Duration duration = Duration.ofMillis(timeout == null ? 5000 : Long.parseLong(timeout));
            api = new Api(config.getInitParameter("url"), duration);
        } catch (IllegalArgumentException error) {
            throw new ServletException("the parameter timeout is a number of milliseconds, not " + timeout, error);
        }
    }

    @Override
    public void doFilter(ServletRequest request, ServletResponse response, FilterChain chain)
            throws IOException, ServletException {
        DispatcherType type = request.getDispatcherType();
        boolean within = type == DispatcherType.FORWARD || type == DispatcherType.INCLUDE;
        if (within || !(request instanceof HttpServletRequest call)
                || !(response instanceof HttpServletResponse answer)) {
            chain.doFilter(request, response);
            return;
        }
        // An error page, or a second part of the same request, goes on with what is there.
        Store store = call.getAttribute(STORE) instanceof Store before ? before : store(call, answer);
        call.setAttribute(STORE, store);
        try {
            run(new SessionRequest(call, store), new SessionResponse(answer, store), store, chain);
        } catch (IOException | ServletException | RuntimeException error) {
            SessionUnavailableException unavailable = unavailable(error);
            if (unavailable == null || answer.isCommitted()) {
                throw error;
            }
            if (unavailable.getRetryAfter() != null) {
                answer.setHeader("Retry-After", unavailable.getRetryAfter());
            }
            answer.sendError(HttpServletResponse.SC_SERVICE_UNAVAILABLE);
        }
    }

    private static void run(SessionRequest request, SessionResponse response, Store store, FilterChain chain)
            throws IOException, ServletException {
        Throwable failed = null;
        try {
            chain.doFilter(request, response);
        } catch (IOException | ServletException | RuntimeException | Error error) {
            failed = error;
            throw error;
        } finally {
            // What the application has changed counts, whatever its response.
            try {
                store.save();
            } catch (RuntimeException error) {
                store.reset();
                // The container sends what is in its buffer, also with an error.
                if (!response.isCommitted()) {
                    response.reset();
                }
                if (failed == null) {
                    throw error;
                }
                failed.addSuppressed(error);
            }
            if (request.isAsyncStarted()) {
                store.close();
            }
        }
    }

    private Store store(HttpServletRequest request, HttpServletResponse response) {
        String user = request.getHeader("iap-user");
        if (user != null) {
            // Containers read header fields as Latin-1; this one is UTF-8.
            user = new String(user.getBytes(StandardCharsets.ISO_8859_1), StandardCharsets.UTF_8);
        }
        Api.Endpoint endpoint =
                api.endpoint(request.getHeader("iap-session-token"), request.getHeader("iap-session-url"));
        return new Store(api, endpoint, user, response::isCommitted);
    }

    private static SessionUnavailableException unavailable(Throwable error) {
        // Causes can go in a circle.
        for (int depth = 0; error != null && depth < 16; depth++) {
            if (error instanceof SessionUnavailableException found) {
                return found;
            }
            error = error.getCause();
        }
        return null;
    }
}
