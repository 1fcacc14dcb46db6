/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert-cni install` and `uninstall`: the plugin's binary and its list of plugins, put in place
 * for container runtimes. */
#ifndef CV_CNI_INSTALL_H
#define CV_CNI_INSTALL_H

/* Returns an exit code: 0 done, 1 refused or failed, 2 usage. */
int cv_cni_install_main(int argc, char **argv);

#endif
