// SPDX-License-Identifier: Apache-2.0
// Assembly because: a symbol version is an assembler directive, and forwarding any argument
// list unchanged is a jump. Made by ABI/generate from rdma-core-44.txt; do not edit.
#if defined(__x86_64__)
#define GOTO jmp
#elif defined(__aarch64__)
#define GOTO b
#else
#error "no jump instruction known for this machine"
#endif
    .macro forward name, version, target
    .globl fermata_abi_\name
    .type fermata_abi_\name, %function
    .p2align 4
fermata_abi_\name:
    .cfi_startproc
    GOTO \target
    .cfi_endproc
    .size fermata_abi_\name, . - fermata_abi_\name
    .symver fermata_abi_\name, \version
    .endm
    .macro data name, version, bytes
    .globl fermata_abi_\name
    .type fermata_abi_\name, %object
fermata_abi_\name:
    .zero \bytes
    .size fermata_abi_\name, \bytes
    .symver fermata_abi_\name, \version
    .endm

    .text
    forward __ioctl_final_num_attrs_PRIVATE_34, __ioctl_final_num_attrs@@IBVERBS_PRIVATE_34, fermata_absent_null
    forward __verbs_log_PRIVATE_34, __verbs_log@@IBVERBS_PRIVATE_34, fermata_absent_void
    forward _ibv_query_gid_ex_1_11, _ibv_query_gid_ex@@IBVERBS_1.11, fermata__ibv_query_gid_ex
    forward _ibv_query_gid_table_1_11, _ibv_query_gid_table@@IBVERBS_1.11, fermata__ibv_query_gid_table
    forward _verbs_init_and_alloc_context_PRIVATE_34, _verbs_init_and_alloc_context@@IBVERBS_PRIVATE_34, fermata_absent_null
    forward execute_ioctl_PRIVATE_34, execute_ioctl@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_ack_async_event_1_0, ibv_ack_async_event@IBVERBS_1.0, fermata_absent_void
    forward ibv_ack_async_event_1_1, ibv_ack_async_event@@IBVERBS_1.1, fermata_ibv_ack_async_event
    forward ibv_ack_cq_events_1_0, ibv_ack_cq_events@IBVERBS_1.0, fermata_absent_void
    forward ibv_ack_cq_events_1_1, ibv_ack_cq_events@@IBVERBS_1.1, fermata_ibv_ack_cq_events
    forward ibv_alloc_pd_1_0, ibv_alloc_pd@IBVERBS_1.0, fermata_absent_null
    forward ibv_alloc_pd_1_1, ibv_alloc_pd@@IBVERBS_1.1, fermata_ibv_alloc_pd
    forward ibv_attach_mcast_1_0, ibv_attach_mcast@IBVERBS_1.0, fermata_absent_errno
    forward ibv_attach_mcast_1_1, ibv_attach_mcast@@IBVERBS_1.1, fermata_ibv_attach_mcast
    forward ibv_close_device_1_0, ibv_close_device@IBVERBS_1.0, fermata_absent_errno
    forward ibv_close_device_1_1, ibv_close_device@@IBVERBS_1.1, fermata_ibv_close_device
    forward ibv_cmd_advise_mr_PRIVATE_34, ibv_cmd_advise_mr@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_alloc_dm_PRIVATE_34, ibv_cmd_alloc_dm@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_alloc_mw_PRIVATE_34, ibv_cmd_alloc_mw@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_alloc_pd_PRIVATE_34, ibv_cmd_alloc_pd@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_attach_mcast_PRIVATE_34, ibv_cmd_attach_mcast@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_close_xrcd_PRIVATE_34, ibv_cmd_close_xrcd@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_create_ah_PRIVATE_34, ibv_cmd_create_ah@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_create_counters_PRIVATE_34, ibv_cmd_create_counters@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_create_cq_PRIVATE_34, ibv_cmd_create_cq@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_create_cq_ex_PRIVATE_34, ibv_cmd_create_cq_ex@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_create_flow_PRIVATE_34, ibv_cmd_create_flow@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_create_flow_action_esp_PRIVATE_34, ibv_cmd_create_flow_action_esp@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_create_qp_PRIVATE_34, ibv_cmd_create_qp@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_create_qp_ex_PRIVATE_34, ibv_cmd_create_qp_ex@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_create_qp_ex2_PRIVATE_34, ibv_cmd_create_qp_ex2@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_create_rwq_ind_table_PRIVATE_34, ibv_cmd_create_rwq_ind_table@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_create_srq_PRIVATE_34, ibv_cmd_create_srq@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_create_srq_ex_PRIVATE_34, ibv_cmd_create_srq_ex@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_create_wq_PRIVATE_34, ibv_cmd_create_wq@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_dealloc_mw_PRIVATE_34, ibv_cmd_dealloc_mw@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_dealloc_pd_PRIVATE_34, ibv_cmd_dealloc_pd@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_dereg_mr_PRIVATE_34, ibv_cmd_dereg_mr@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_destroy_ah_PRIVATE_34, ibv_cmd_destroy_ah@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_destroy_counters_PRIVATE_34, ibv_cmd_destroy_counters@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_destroy_cq_PRIVATE_34, ibv_cmd_destroy_cq@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_destroy_flow_PRIVATE_34, ibv_cmd_destroy_flow@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_destroy_flow_action_PRIVATE_34, ibv_cmd_destroy_flow_action@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_destroy_qp_PRIVATE_34, ibv_cmd_destroy_qp@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_destroy_rwq_ind_table_PRIVATE_34, ibv_cmd_destroy_rwq_ind_table@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_destroy_srq_PRIVATE_34, ibv_cmd_destroy_srq@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_destroy_wq_PRIVATE_34, ibv_cmd_destroy_wq@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_detach_mcast_PRIVATE_34, ibv_cmd_detach_mcast@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_free_dm_PRIVATE_34, ibv_cmd_free_dm@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_get_context_PRIVATE_34, ibv_cmd_get_context@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_modify_cq_PRIVATE_34, ibv_cmd_modify_cq@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_modify_flow_action_esp_PRIVATE_34, ibv_cmd_modify_flow_action_esp@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_modify_qp_PRIVATE_34, ibv_cmd_modify_qp@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_modify_qp_ex_PRIVATE_34, ibv_cmd_modify_qp_ex@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_modify_srq_PRIVATE_34, ibv_cmd_modify_srq@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_modify_wq_PRIVATE_34, ibv_cmd_modify_wq@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_open_qp_PRIVATE_34, ibv_cmd_open_qp@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_open_xrcd_PRIVATE_34, ibv_cmd_open_xrcd@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_poll_cq_PRIVATE_34, ibv_cmd_poll_cq@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_post_recv_PRIVATE_34, ibv_cmd_post_recv@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_post_send_PRIVATE_34, ibv_cmd_post_send@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_post_srq_recv_PRIVATE_34, ibv_cmd_post_srq_recv@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_query_context_PRIVATE_34, ibv_cmd_query_context@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_query_device_any_PRIVATE_34, ibv_cmd_query_device_any@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_query_mr_PRIVATE_34, ibv_cmd_query_mr@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_query_port_PRIVATE_34, ibv_cmd_query_port@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_query_qp_PRIVATE_34, ibv_cmd_query_qp@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_query_srq_PRIVATE_34, ibv_cmd_query_srq@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_read_counters_PRIVATE_34, ibv_cmd_read_counters@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_reg_dm_mr_PRIVATE_34, ibv_cmd_reg_dm_mr@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_reg_dmabuf_mr_PRIVATE_34, ibv_cmd_reg_dmabuf_mr@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_reg_mr_PRIVATE_34, ibv_cmd_reg_mr@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_req_notify_cq_PRIVATE_34, ibv_cmd_req_notify_cq@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_rereg_mr_PRIVATE_34, ibv_cmd_rereg_mr@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_cmd_resize_cq_PRIVATE_34, ibv_cmd_resize_cq@@IBVERBS_PRIVATE_34, fermata_absent_errno
    forward ibv_copy_ah_attr_from_kern_1_1, ibv_copy_ah_attr_from_kern@@IBVERBS_1.1, fermata_ibv_copy_ah_attr_from_kern
    forward ibv_copy_path_rec_from_kern_1_0, ibv_copy_path_rec_from_kern@@IBVERBS_1.0, fermata_ibv_copy_path_rec_from_kern
    forward ibv_copy_path_rec_to_kern_1_0, ibv_copy_path_rec_to_kern@@IBVERBS_1.0, fermata_ibv_copy_path_rec_to_kern
    forward ibv_copy_qp_attr_from_kern_1_0, ibv_copy_qp_attr_from_kern@@IBVERBS_1.0, fermata_ibv_copy_qp_attr_from_kern
    forward ibv_create_ah_1_0, ibv_create_ah@IBVERBS_1.0, fermata_absent_null
    forward ibv_create_ah_1_1, ibv_create_ah@@IBVERBS_1.1, fermata_ibv_create_ah
    forward ibv_create_ah_from_wc_1_1, ibv_create_ah_from_wc@@IBVERBS_1.1, fermata_ibv_create_ah_from_wc
    forward ibv_create_comp_channel_1_0, ibv_create_comp_channel@@IBVERBS_1.0, fermata_ibv_create_comp_channel
    forward ibv_create_cq_1_0, ibv_create_cq@IBVERBS_1.0, fermata_absent_null
    forward ibv_create_cq_1_1, ibv_create_cq@@IBVERBS_1.1, fermata_ibv_create_cq
    forward ibv_create_qp_1_0, ibv_create_qp@IBVERBS_1.0, fermata_absent_null
    forward ibv_create_qp_1_1, ibv_create_qp@@IBVERBS_1.1, fermata_ibv_create_qp
    forward ibv_create_srq_1_0, ibv_create_srq@IBVERBS_1.0, fermata_absent_null
    forward ibv_create_srq_1_1, ibv_create_srq@@IBVERBS_1.1, fermata_ibv_create_srq
    forward ibv_dealloc_pd_1_0, ibv_dealloc_pd@IBVERBS_1.0, fermata_absent_errno
    forward ibv_dealloc_pd_1_1, ibv_dealloc_pd@@IBVERBS_1.1, fermata_ibv_dealloc_pd
    forward ibv_dereg_mr_1_0, ibv_dereg_mr@IBVERBS_1.0, fermata_absent_errno
    forward ibv_dereg_mr_1_1, ibv_dereg_mr@@IBVERBS_1.1, fermata_ibv_dereg_mr
    forward ibv_destroy_ah_1_0, ibv_destroy_ah@IBVERBS_1.0, fermata_absent_errno
    forward ibv_destroy_ah_1_1, ibv_destroy_ah@@IBVERBS_1.1, fermata_ibv_destroy_ah
    forward ibv_destroy_comp_channel_1_0, ibv_destroy_comp_channel@@IBVERBS_1.0, fermata_ibv_destroy_comp_channel
    forward ibv_destroy_cq_1_0, ibv_destroy_cq@IBVERBS_1.0, fermata_absent_errno
    forward ibv_destroy_cq_1_1, ibv_destroy_cq@@IBVERBS_1.1, fermata_ibv_destroy_cq
    forward ibv_destroy_qp_1_0, ibv_destroy_qp@IBVERBS_1.0, fermata_absent_errno
    forward ibv_destroy_qp_1_1, ibv_destroy_qp@@IBVERBS_1.1, fermata_ibv_destroy_qp
    forward ibv_destroy_srq_1_0, ibv_destroy_srq@IBVERBS_1.0, fermata_absent_errno
    forward ibv_destroy_srq_1_1, ibv_destroy_srq@@IBVERBS_1.1, fermata_ibv_destroy_srq
    forward ibv_detach_mcast_1_0, ibv_detach_mcast@IBVERBS_1.0, fermata_absent_errno
    forward ibv_detach_mcast_1_1, ibv_detach_mcast@@IBVERBS_1.1, fermata_ibv_detach_mcast
    forward ibv_dofork_range_1_1, ibv_dofork_range@@IBVERBS_1.1, fermata_ibv_dofork_range
    forward ibv_dontfork_range_1_1, ibv_dontfork_range@@IBVERBS_1.1, fermata_ibv_dontfork_range
    forward ibv_event_type_str_1_1, ibv_event_type_str@@IBVERBS_1.1, fermata_ibv_event_type_str
    forward ibv_fork_init_1_1, ibv_fork_init@@IBVERBS_1.1, fermata_ibv_fork_init
    forward ibv_free_device_list_1_0, ibv_free_device_list@IBVERBS_1.0, fermata_absent_void
    forward ibv_free_device_list_1_1, ibv_free_device_list@@IBVERBS_1.1, fermata_ibv_free_device_list
    forward ibv_get_async_event_1_0, ibv_get_async_event@IBVERBS_1.0, fermata_absent_minus
    forward ibv_get_async_event_1_1, ibv_get_async_event@@IBVERBS_1.1, fermata_ibv_get_async_event
    forward ibv_get_cq_event_1_0, ibv_get_cq_event@IBVERBS_1.0, fermata_absent_minus
    forward ibv_get_cq_event_1_1, ibv_get_cq_event@@IBVERBS_1.1, fermata_ibv_get_cq_event
    forward ibv_get_device_guid_1_0, ibv_get_device_guid@IBVERBS_1.0, fermata_absent_null
    forward ibv_get_device_guid_1_1, ibv_get_device_guid@@IBVERBS_1.1, fermata_ibv_get_device_guid
    forward ibv_get_device_index_1_9, ibv_get_device_index@@IBVERBS_1.9, fermata_ibv_get_device_index
    forward ibv_get_device_list_1_0, ibv_get_device_list@IBVERBS_1.0, fermata_absent_null
    forward ibv_get_device_list_1_1, ibv_get_device_list@@IBVERBS_1.1, fermata_ibv_get_device_list
    forward ibv_get_device_name_1_0, ibv_get_device_name@IBVERBS_1.0, fermata_absent_null
    forward ibv_get_device_name_1_1, ibv_get_device_name@@IBVERBS_1.1, fermata_ibv_get_device_name
    forward ibv_get_pkey_index_1_5, ibv_get_pkey_index@@IBVERBS_1.5, fermata_ibv_get_pkey_index
    forward ibv_get_sysfs_path_1_0, ibv_get_sysfs_path@@IBVERBS_1.0, fermata_ibv_get_sysfs_path
    forward ibv_import_device_1_10, ibv_import_device@@IBVERBS_1.10, fermata_ibv_import_device
    forward ibv_import_dm_1_13, ibv_import_dm@@IBVERBS_1.13, fermata_ibv_import_dm
    forward ibv_import_mr_1_10, ibv_import_mr@@IBVERBS_1.10, fermata_ibv_import_mr
    forward ibv_import_pd_1_10, ibv_import_pd@@IBVERBS_1.10, fermata_ibv_import_pd
    forward ibv_init_ah_from_wc_1_1, ibv_init_ah_from_wc@@IBVERBS_1.1, fermata_ibv_init_ah_from_wc
    forward ibv_is_fork_initialized_1_13, ibv_is_fork_initialized@@IBVERBS_1.13, fermata_ibv_is_fork_initialized
    forward ibv_modify_qp_1_0, ibv_modify_qp@IBVERBS_1.0, fermata_absent_errno
    forward ibv_modify_qp_1_1, ibv_modify_qp@@IBVERBS_1.1, fermata_ibv_modify_qp
    forward ibv_modify_srq_1_0, ibv_modify_srq@IBVERBS_1.0, fermata_absent_errno
    forward ibv_modify_srq_1_1, ibv_modify_srq@@IBVERBS_1.1, fermata_ibv_modify_srq
    forward ibv_node_type_str_1_1, ibv_node_type_str@@IBVERBS_1.1, fermata_ibv_node_type_str
    forward ibv_open_device_1_0, ibv_open_device@IBVERBS_1.0, fermata_absent_null
    forward ibv_open_device_1_1, ibv_open_device@@IBVERBS_1.1, fermata_ibv_open_device
    forward ibv_port_state_str_1_1, ibv_port_state_str@@IBVERBS_1.1, fermata_ibv_port_state_str
    forward ibv_qp_to_qp_ex_1_6, ibv_qp_to_qp_ex@@IBVERBS_1.6, fermata_ibv_qp_to_qp_ex
    forward ibv_query_device_1_0, ibv_query_device@IBVERBS_1.0, fermata_absent_errno
    forward ibv_query_device_1_1, ibv_query_device@@IBVERBS_1.1, fermata_ibv_query_device
    forward ibv_query_ece_1_10, ibv_query_ece@@IBVERBS_1.10, fermata_ibv_query_ece
    forward ibv_query_gid_1_0, ibv_query_gid@IBVERBS_1.0, fermata_absent_minus
    forward ibv_query_gid_1_1, ibv_query_gid@@IBVERBS_1.1, fermata_ibv_query_gid
    forward ibv_query_gid_type_PRIVATE_34, ibv_query_gid_type@@IBVERBS_PRIVATE_34, fermata_ibv_query_gid_type
    forward ibv_query_pkey_1_0, ibv_query_pkey@IBVERBS_1.0, fermata_absent_minus
    forward ibv_query_pkey_1_1, ibv_query_pkey@@IBVERBS_1.1, fermata_ibv_query_pkey
    forward ibv_query_port_1_0, ibv_query_port@IBVERBS_1.0, fermata_absent_errno
    forward ibv_query_port_1_1, ibv_query_port@@IBVERBS_1.1, fermata_ibv_query_port
    forward ibv_query_qp_1_0, ibv_query_qp@IBVERBS_1.0, fermata_absent_errno
    forward ibv_query_qp_1_1, ibv_query_qp@@IBVERBS_1.1, fermata_ibv_query_qp
    forward ibv_query_qp_data_in_order_1_14, ibv_query_qp_data_in_order@@IBVERBS_1.14, fermata_ibv_query_qp_data_in_order
    forward ibv_query_srq_1_0, ibv_query_srq@IBVERBS_1.0, fermata_absent_errno
    forward ibv_query_srq_1_1, ibv_query_srq@@IBVERBS_1.1, fermata_ibv_query_srq
    forward ibv_rate_to_mbps_1_1, ibv_rate_to_mbps@@IBVERBS_1.1, fermata_ibv_rate_to_mbps
    forward ibv_rate_to_mult_1_0, ibv_rate_to_mult@@IBVERBS_1.0, fermata_ibv_rate_to_mult
    forward ibv_read_ibdev_sysfs_file_PRIVATE_34, ibv_read_ibdev_sysfs_file@@IBVERBS_PRIVATE_34, fermata_absent_minus
    forward ibv_read_sysfs_file_1_0, ibv_read_sysfs_file@@IBVERBS_1.0, fermata_ibv_read_sysfs_file
    forward ibv_reg_dmabuf_mr_1_12, ibv_reg_dmabuf_mr@@IBVERBS_1.12, fermata_ibv_reg_dmabuf_mr
    forward ibv_reg_mr_1_0, ibv_reg_mr@IBVERBS_1.0, fermata_absent_null
    forward ibv_reg_mr_1_1, ibv_reg_mr@@IBVERBS_1.1, fermata_ibv_reg_mr
    forward ibv_reg_mr_iova_1_7, ibv_reg_mr_iova@@IBVERBS_1.7, fermata_ibv_reg_mr_iova
    forward ibv_reg_mr_iova2_1_8, ibv_reg_mr_iova2@@IBVERBS_1.8, fermata_ibv_reg_mr_iova2
    forward ibv_register_driver_1_1, ibv_register_driver@IBVERBS_1.1, fermata_absent_void
    forward ibv_rereg_mr_1_1, ibv_rereg_mr@@IBVERBS_1.1, fermata_ibv_rereg_mr
    forward ibv_resize_cq_1_0, ibv_resize_cq@IBVERBS_1.0, fermata_absent_errno
    forward ibv_resize_cq_1_1, ibv_resize_cq@@IBVERBS_1.1, fermata_ibv_resize_cq
    forward ibv_resolve_eth_l2_from_gid_1_1, ibv_resolve_eth_l2_from_gid@@IBVERBS_1.1, fermata_ibv_resolve_eth_l2_from_gid
    forward ibv_set_ece_1_10, ibv_set_ece@@IBVERBS_1.10, fermata_ibv_set_ece
    forward ibv_unimport_dm_1_13, ibv_unimport_dm@@IBVERBS_1.13, fermata_ibv_unimport_dm
    forward ibv_unimport_mr_1_10, ibv_unimport_mr@@IBVERBS_1.10, fermata_ibv_unimport_mr
    forward ibv_unimport_pd_1_10, ibv_unimport_pd@@IBVERBS_1.10, fermata_ibv_unimport_pd
    forward ibv_wc_status_str_1_1, ibv_wc_status_str@@IBVERBS_1.1, fermata_ibv_wc_status_str
    forward mbps_to_ibv_rate_1_1, mbps_to_ibv_rate@@IBVERBS_1.1, fermata_mbps_to_ibv_rate
    forward mult_to_ibv_rate_1_0, mult_to_ibv_rate@@IBVERBS_1.0, fermata_mult_to_ibv_rate
    forward verbs_init_cq_PRIVATE_34, verbs_init_cq@@IBVERBS_PRIVATE_34, fermata_absent_void
    forward verbs_open_device_PRIVATE_34, verbs_open_device@@IBVERBS_PRIVATE_34, fermata_absent_null
    forward verbs_register_driver_34_PRIVATE_34, verbs_register_driver_34@@IBVERBS_PRIVATE_34, fermata_absent_void
    forward verbs_set_ops_PRIVATE_34, verbs_set_ops@@IBVERBS_PRIVATE_34, fermata_absent_void
    forward verbs_uninit_context_PRIVATE_34, verbs_uninit_context@@IBVERBS_PRIVATE_34, fermata_absent_void

    .bss
    data verbs_allow_disassociate_destroy_PRIVATE_34, verbs_allow_disassociate_destroy@@IBVERBS_PRIVATE_34, 1

    .section .note.GNU-stack,"",%progbits
