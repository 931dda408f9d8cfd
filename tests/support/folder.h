/* tests/support/folder.h - a folder for the files of one test. */
#ifndef TESTS_SUPPORT_FOLDER_H
#define TESTS_SUPPORT_FOLDER_H

/* The path of `name` in this test's folder, which is made when first asked for. Lasts until the test ends. */
const char *folder_path(const char *name);

/* Remove the folder and all in it: add_case does it, and so does the exit of a test that failed. */
void folder_remove(void);

#endif
