<%@ page contentType="text/plain" %><%
// Collects garbage in the middle of a request.
java.util.ArrayList<Object> kept = new java.util.ArrayList<>();
for (int i = 0; i < 200000; i++) kept.add(new Object[] { i, "text " + i });
Thread.sleep(300);
System.gc();
Thread.sleep(300);
out.print(kept.size());
%>
