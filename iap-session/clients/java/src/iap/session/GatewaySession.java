package iap.session;

import jakarta.servlet.ServletContext;
import jakarta.servlet.http.HttpSession;
import java.util.Collections;
import java.util.Enumeration;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.UUID;

/**
 * What {@code request.getSession()} returns behind {@link SessionFilter}: the session that the gateway keeps.
 *
 * <p>Attributes are String, Integer, Long, Double, Boolean, and List and Map of them; changes inside of lists and
 * maps are found by comparing. All changes are saved before the response is committed.
 */
public final class GatewaySession implements HttpSession {
    /** Where the id is kept, since the gateway's own is nobody's business. */
    private static final String ID = "java.session.id";

    private final Store store;
    private final ServletContext context;

    GatewaySession(Store store, ServletContext context) {
        this.store = store;
        this.context = context;
        store.facade = this;
    }

    /** Who is logged in, or null. */
    public String getUser() {
        return valid().user();
    }

    /**
     * Logs a user in whom the application has recognised.
     *
     * @throws SessionException with status 409 if the policy refuses
     */
    public void login(String user) {
        valid().login(user);
    }

    /** Takes the user out of the session, which keeps its attributes. */
    public void logout() {
        valid().post("/session/logout", null);
    }

    /** Gives the session a new id: after a change of rights that is not a login. */
    public void rotate() {
        Store store = valid();
        store.post("/session/rotate", null);
        if (store.load().containsKey(ID)) {
            store.change().put(ID, UUID.randomUUID().toString());
        }
    }

    /**
     * What may be told of the session: {@code /revocations} names it by this. It changes with the id; null while
     * nothing is stored.
     */
    public String getHandle() {
        return valid().handle();
    }

    /**
     * Adds to a whole number and returns the sum; no attribute counts as 0. Stored at once, not with the response: no
     * two requests get the same sum.
     *
     * @throws SessionUnavailableException also if the gateway goes away meanwhile; it may have taken effect then
     */
    public long increment(String name, long by) {
        return valid().increment(name, by);
    }

    /**
     * Sets an attribute if it has the expected value, and says whether it did; null stands for no attribute. Stored
     * at once, not with the response: of requests that expect the same, one gets true.
     *
     * @throws IllegalArgumentException if a value is none of those that an attribute can have
     * @throws SessionUnavailableException also if the gateway goes away meanwhile; it may have taken effect then
     */
    public boolean compareAndSet(String name, Object expected, Object value) {
        return valid().compareAndSet(name, expected, value);
    }

    /** An id for the application, made at the first call and kept as an attribute; not the gateway's. */
    @Override
    public String getId() {
        Object id = valid().load().get(ID);
        if (!(id instanceof String)) {
            id = UUID.randomUUID().toString();
            store.change().put(ID, id);
        }
        return (String) id;
    }

    @Override
    public Object getAttribute(String name) {
        return valid().load().get(name);
    }

    @Override
    public Enumeration<String> getAttributeNames() {
        Set<String> names = new LinkedHashSet<>(valid().load().keySet());
        names.remove(ID);
        return Collections.enumeration(names);
    }

    /**
     * Sets an attribute, or removes it if the value is null.
     *
     * @throws IllegalArgumentException if the value is none of those that an attribute can have
     */
    @Override
    public void setAttribute(String name, Object value) {
        Json.write(name, value);
        Map<String, Object> attributes = valid().change();
        if (value == null) {
            attributes.remove(name);
        } else {
            attributes.put(name, value);
        }
    }

    @Override
    public void removeAttribute(String name) {
        valid().change().remove(name);
    }

    /** Ends the session; the next {@code getSession()} begins another one. */
    @Override
    public void invalidate() {
        valid().destroy();
    }

    @Override
    public boolean isNew() {
        return valid().isNew();
    }

    @Override
    public ServletContext getServletContext() {
        return context;
    }

    /** Not known here: the gateway keeps the times of sessions. */
    @Override
    public long getCreationTime() {
        throw new UnsupportedOperationException("the gateway keeps the times of sessions");
    }

    /** Not known here: the gateway keeps the times of sessions. */
    @Override
    public long getLastAccessedTime() {
        throw new UnsupportedOperationException("the gateway keeps the times of sessions");
    }

    /** Not known here: the gateway decides when sessions expire. */
    @Override
    public int getMaxInactiveInterval() {
        throw new UnsupportedOperationException("the gateway decides when sessions expire");
    }

    /** Not possible here: the gateway decides when sessions expire. */
    @Override
    public void setMaxInactiveInterval(int seconds) {
        throw new UnsupportedOperationException("the gateway decides when sessions expire");
    }

    private Store valid() {
        if (store.facade != this) {
            throw new IllegalStateException("the session was invalidated");
        }
        return store;
    }
}
