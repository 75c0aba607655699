import java.io.File;
import java.io.FileInputStream;
import java.io.ObjectInputStream;
import java.io.ByteArrayInputStream;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.catalina.core.StandardContext;
import org.apache.catalina.realm.GenericPrincipal;
import org.apache.catalina.session.FileStore;
import org.apache.catalina.session.PersistentManager;
import org.apache.catalina.session.StandardSession;

/** Lets Tomcat's own FileStore write sessions into a directory; or reads back what came of an object. */
public class TomcatSessions {
    static final class Cart implements Serializable {
        private static final long serialVersionUID = 1;
        final String owner;
        final List<Integer> items = new ArrayList<>(List.of(1, 2, 3));
        Cart(String owner) { this.owner = owner; }
    }

    public static void main(String[] args) throws Exception {
        if (args[0].equals("read")) {
            byte[] bytes = Base64.getDecoder().decode(args[1]);
            Cart cart = (Cart) new ObjectInputStream(new ByteArrayInputStream(bytes)).readObject();
            System.out.print(cart.owner + " " + cart.items);
            return;
        }
        PersistentManager manager = new PersistentManager();
        StandardContext context = new StandardContext();
        context.setName("shop");
        manager.setContext(context);
        FileStore store = new FileStore();
        store.setManager(manager);
        store.setDirectory(args[1]);
        for (String id : List.of("0123456789ABCDEF0123456789ABCDEF", "FEDCBA9876543210FEDCBA9876543210.node1")) {
            boolean logged = id.contains(".");
            manager.setPersistAuthentication(logged);
            StandardSession session = new StandardSession(manager);
            session.setNew(false);
            session.setValid(true);
            session.setCreationTime(System.currentTimeMillis());
            session.setMaxInactiveInterval(logged ? -1 : 1800);
            session.setId(id, false);
            session.setAttribute("visits", 3, false);
            session.setAttribute("cart", new Cart("bob"), false);
            session.setAttribute("other", new Cart("eve"), false);
            session.setAttribute("map", new HashMap<>(Map.of("a", List.of("b"))), false);
            if (logged) {
                session.setAuthType("FORM");
                session.setPrincipal(new GenericPrincipal("carol", List.of("admin")));
            }
            store.save(session);
        }
    }
}
