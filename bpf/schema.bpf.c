// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * This file declares a variable of every shared type, so that the object's BTF contains the type. It is never loaded.
 * It is built with -Wpadded -Werror: padding without a name does not compile.
 */
#include "lib/types.h"

enum limit limit;
enum proto proto;
enum frontend_scope frontend_scope;
enum frontend_flag frontend_flag;
enum service_flag service_flag;
enum rank rank;
enum backend_flag backend_flag;
enum node_flag node_flag;
enum verdict verdict;
enum drop_reason drop_reason;
enum metric metric;
enum known_identity known_identity;
enum ipcache_flag ipcache_flag;
enum flow_flag flow_flag;
enum nat_flag nat_flag;
enum flow_sent flow_sent;
enum flow_gen flow_gen;
enum fragment_flag fragment_flag;
enum event_kind event_kind;
enum event_point event_point;
enum move_reason move_reason;
enum event_flag event_flag;
enum event_limit event_limit;

struct frontend_key frontend_key;
struct frontend_row frontend_row;
struct service_range_row service_range_row;
struct tier_word tier_word;
struct service_row service_row;
struct backend_id backend_id;
struct table_line table_line;
struct backend_row backend_row;
struct state_word state_word;
struct node_row node_row;
struct floor_row floor_row;
struct floor_row_v1 floor_row_v1;
struct sock_row sock_row;
struct tcp_orig_dst_row tcp_orig_dst_row;
struct udp_sticky_key udp_sticky_key;
struct udp_sticky_row udp_sticky_row;
struct udp_reverse_key udp_reverse_key;
struct udp_reverse_row udp_reverse_row;
struct endpoint_key endpoint_key;
struct endpoint_row endpoint_row;
struct pod_policy_word pod_policy_word;
struct ipcache_key ipcache_key;
struct ipcache_prefix_key ipcache_prefix_key;
struct ipcache_row ipcache_row;
struct peer_verdict peer_verdict;
struct policy_set_row policy_set_row;
struct policy_state_row policy_state_row;
struct policy_peer_key policy_peer_key;
struct policy_peer_row policy_peer_row;
struct policy_port_key policy_port_key;
struct policy_port_row policy_port_row;
struct pod_range_key pod_range_key;
struct pod_range_row pod_range_row;
struct flow_key flow_key;
struct flow_word flow_word;
struct flow_row flow_row;
struct flow_body flow_body;
struct nat_row nat_row;
struct nat_state_row nat_state_row;
struct service_moves_key service_moves_key;
struct service_moves_row service_moves_row;
struct fragment_key fragment_key;
struct fragment_row fragment_row;
struct event_settings_row event_settings_row;
struct event_limit_key event_limit_key;
struct event_limit_row event_limit_row;
struct packet_event packet_event;
struct datapath_config datapath_config;
