package iap.session;

import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletRequestWrapper;
import jakarta.servlet.http.HttpSession;
import java.security.Principal;

/** A request whose session is the gateway's. */
final class SessionRequest extends HttpServletRequestWrapper {
    private final Store store;

    SessionRequest(HttpServletRequest request, Store store) {
        super(request);
        this.store = store;
    }

    private record User(String name) implements Principal {
        @Override
        public String getName() {
            return name;
        }
    }

    @Override
    public HttpSession getSession() {
        return getSession(true);
    }

    @Override
    public HttpSession getSession(boolean create) {
        if (store.facade != null) {
            return store.facade;
        }
        boolean empty = store.isEmpty();
        return empty && !create ? null : new GatewaySession(store, getServletContext());
    }

    @Override
    public String changeSessionId() {
        if (!(getSession(false) instanceof GatewaySession session)) {
            throw new IllegalStateException("there is no session");
        }
        session.rotate();
        return session.getId();
    }

    @Override
    public String getRemoteUser() {
        return store.user() != null ? store.user() : super.getRemoteUser();
    }

    @Override
    public Principal getUserPrincipal() {
        return store.user() != null ? new User(store.user()) : super.getUserPrincipal();
    }

    @Override
    public void logout() throws ServletException {
        if (store.user() != null) {
            store.load();
            store.post("/session/logout", null);
        }
        super.logout();
    }

    /** The client's cookie is the gateway's, and not seen here. */
    @Override
    public String getRequestedSessionId() {
        return null;
    }

    @Override
    public boolean isRequestedSessionIdValid() {
        return false;
    }

    @Override
    public boolean isRequestedSessionIdFromCookie() {
        return false;
    }

    @Override
    public boolean isRequestedSessionIdFromURL() {
        return false;
    }
}
