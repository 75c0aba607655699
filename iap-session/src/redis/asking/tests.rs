use super::*;

#[test]
fn a_slot_on_its_way_is_found() {
    let nodes = "aa 10.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-5460 [5->-bb] [77->-cc] [9-<-cc]\n\
                 bb 10.0.0.2:7001@17001 master - 0 0 2 connected 5461-10922\n\
                 cc ::1:7002@17002,three.example,shard-id=x master - 0 0 3 connected\n";
    assert_eq!(migration(nodes, 5), Some(Server::new("10.0.0.2", 7001)));
    assert_eq!(migration(nodes, 77), Some(Server::new("three.example", 7002)));
    assert_eq!(migration(nodes, 9), None, "it comes, and does not go");
    assert_eq!(migration(nodes, 7), None);
    assert_eq!(migration("", 7), None);
}
